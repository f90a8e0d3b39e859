//! Refreshes feeds when their time has come.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::Timestamp;

use super::Feeds;
use crate::records::FeedRecord;

/// How often the feeds are looked through for one whose time has come: a row each, once a minute.
const LOOK: Duration = Duration::from_secs(60);
/// A refresh that failed is tried again after this long, or after the feed's own time where that is shorter.
const RETRY: Duration = Duration::from_secs(900);

impl Feeds {
    /// Refreshes feeds for as long as the controller runs.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.refresh_due().await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Refreshes each feed whose time has come, one after the other. How it went stands in their records.
    pub async fn refresh_due(&self) {
        let feeds = match self.list().await {
            Ok(feeds) => feeds,
            Err(error) => {
                tracing::error!(%error, "the feeds cannot be listed");
                return;
            }
        };
        for feed in feeds.iter().filter(|feed| due_at(feed).is_some_and(|due| due <= self.clock.now())) {
            // Its record and the log tell of a failure.
            drop(self.refresh(&feed.name, false).await);
        }
    }
}

/// When a feed is to be refreshed; never where it has no source.
fn due_at(feed: &FeedRecord) -> Option<Timestamp> {
    if feed.source.is_empty() {
        return None;
    }
    Some(match &feed.last_try {
        None => Timestamp(0),
        Some(tried) if tried.error.is_some() => tried.at.plus(feed.every.min(RETRY)),
        Some(tried) => tried.at.plus(feed.every),
    })
}
