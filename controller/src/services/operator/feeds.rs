//! Feeds: where advisories and what is known of them come from.

use std::time::Duration;

use patchwave_common::domain::{FeedName, Timestamp, clean_text};
use patchwave_proto::operator::v1 as wire;
use tokio::io::AsyncWriteExt as _;
use tonic::{Status, Streaming};

use super::call::{Call, parsed, show_time, store_status, wrong};
use crate::feeds::{FeedFormat, SourceError};
use crate::records::{FeedKind, FeedRecord};
use crate::refresh::{RefreshError, check_url, is_url, overdue_since};

/// Largest file that is imported: as large as an archive may be (`feeds::Limits`).
const IMPORT_MAX_BYTES: u64 = 2 << 30;
/// How long the next part of a file may take to come.
const PART_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest path or URL.
const SOURCE_MAX_BYTES: usize = 2_000;
/// Bounds on how often a feed is read and how old it may be.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(365 * 86_400);

pub(super) async fn list(call: &Call, _: wire::ListFeedsRequest) -> Result<wire::FeedList, Status> {
    let feeds = call.app.feeds.list().await.map_err(|error| store_status(&error))?;
    Ok(wire::FeedList { feeds: feeds.iter().map(|feed| view(feed, call.at)).collect() })
}

pub(super) async fn add(call: &Call, request: wire::AddFeedRequest) -> Result<wire::Feed, Status> {
    let name = parsed("NAME", FeedName::parse(&request.name))?;
    let known = || FeedKind::ALL.map(FeedKind::as_str).join(", ");
    let kind = FeedKind::of_name(&request.kind).ok_or_else(|| wrong("--kind", format!("is none of {}", known())))?;
    let source = request.source.trim();
    if source.len() > SOURCE_MAX_BYTES || clean_text(source, SOURCE_MAX_BYTES) != source {
        return Err(wrong("SOURCE", "is too long, or has characters that no path has"));
    }
    if is_url(source) {
        check_url(source).map_err(|error| wrong("SOURCE", error))?;
    } else if !source.is_empty() && !source.starts_with('/') {
        let hint = "hint: without one, `patchwave feed import` brings its content";
        return Err(wrong("SOURCE", format!("must be a URL, or an absolute path on the controller ({hint})")));
    }
    let format = FeedFormat::of(kind);
    let span = |field: &str, ms: u64, usual: Duration| {
        let span = if ms == 0 { usual } else { Duration::from_millis(ms) };
        if EVERY.contains(&span) { Ok(span) } else { Err(wrong(field, "must be between a minute and a year")) }
    };
    let feed = FeedRecord {
        name,
        kind,
        source: source.to_owned(),
        every: span("--every", request.every_ms, format.every)?,
        max_age: span("--max-age", request.max_age_ms, format.max_age)?,
        added_by: call.actor(),
        added_at: call.at,
        configured: false,
        content: None,
        last_try: None,
    };
    call.app.feeds.add(feed.clone()).await.map_err(|error| status(&error))?;
    if feed.source.is_empty() {
        return Ok(view(&feed, call.at));
    }
    // It is set up whether or not its source can be read now; how that went is part of the answer.
    match call.app.feeds.refresh(&feed.name, false).await {
        Ok(feed) => Ok(view(&feed, call.at)),
        Err(error) => Ok(wire::Feed { error: error.to_string(), ..view(&feed, call.at) }),
    }
}

pub(super) async fn remove(call: &Call, request: wire::FeedRequest) -> Result<wire::Feed, Status> {
    let name = parsed("NAME", FeedName::parse(&request.name))?;
    let feed = call.app.feeds.remove(&name).await.map_err(|error| status(&error))?;
    Ok(view(&feed, call.at))
}

pub(super) async fn refresh(call: &Call, request: wire::RefreshFeedRequest) -> Result<wire::Feed, Status> {
    let name = parsed("NAME", FeedName::parse(&request.name))?;
    let feed = call.app.feeds.refresh(&name, request.accept_smaller).await.map_err(|error| status(&error))?;
    Ok(view(&feed, call.at))
}

/// Takes a file part by part; `named` is the feed, once it is known.
pub(super) async fn import(call: &Call, parts: &mut Streaming<wire::ImportFeedRequest>, named: &mut String) -> Result<wire::Feed, Status> {
    let disk = |error: std::io::Error| Status::internal(format!("the file cannot be kept while it comes in: {error}"));
    let first = next(parts).await?.ok_or_else(|| wrong("NAME", "nothing was sent"))?;
    first.name.clone_into(named);
    let name = parsed("NAME", FeedName::parse(&first.name))?;
    // In the state directory, which nobody else can read; it goes with the last look at it.
    let file = tempfile::Builder::new().prefix(".import-").tempfile_in(&call.app.state_dir).map_err(disk)?;
    let (handle, path) = file.into_parts();
    let mut handle = tokio::fs::File::from_std(handle);
    let (accept_smaller, mut size, mut data) = (first.accept_smaller, 0_u64, first.data);
    loop {
        size += data.len() as u64;
        if size > IMPORT_MAX_BYTES {
            return Err(wrong("FILE", format!("is larger than {} GiB", IMPORT_MAX_BYTES >> 30)));
        }
        handle.write_all(&data).await.map_err(disk)?;
        match next(parts).await? {
            Some(part) => data = part.data,
            None => break,
        }
    }
    handle.flush().await.map_err(disk)?;
    drop(handle);
    let feed = call.app.feeds.import(&name, &path, accept_smaller).await.map_err(|error| status(&error))?;
    Ok(view(&feed, call.at))
}

async fn next(parts: &mut Streaming<wire::ImportFeedRequest>) -> Result<Option<wire::ImportFeedRequest>, Status> {
    let late = |_| Status::deadline_exceeded(format!("no part of the file came for {} s", PART_TIMEOUT.as_secs()));
    tokio::time::timeout(PART_TIMEOUT, parts.message()).await.map_err(late)?
}

fn status(error: &RefreshError) -> Status {
    match error {
        RefreshError::NoSuchFeed(_) => Status::not_found(error.to_string()),
        RefreshError::AlreadyThere(_) => Status::already_exists(error.to_string()),
        RefreshError::Store(error) => store_status(error),
        RefreshError::Gone(_) => Status::unavailable(error.to_string()),
        // Imported files have a name of the controller's own, which says nothing to whoever sent them.
        RefreshError::Source(SourceError::Archive { reason, .. }) => {
            Status::failed_precondition(format!("a damaged zip archive: {reason} (hint: fetch it again; it may have been cut off)"))
        }
        _ => Status::failed_precondition(error.to_string()),
    }
}

/// A feed as operators see it.
pub(super) fn view(feed: &FeedRecord, now: Timestamp) -> wire::Feed {
    let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut view = wire::Feed {
        name: feed.name.to_string(),
        kind: feed.kind.as_str().to_owned(),
        source: feed.source.clone(),
        configured: feed.configured,
        every_ms: milliseconds(feed.every),
        max_age_ms: milliseconds(feed.max_age),
        added_by: feed.added_by.name(),
        added_at: show_time(Some(feed.added_at)),
        tried_at: show_time(feed.last_try.as_ref().map(|tried| tried.at)),
        error: feed.last_try.as_ref().and_then(|tried| tried.error.clone()).unwrap_or_default(),
        stale: is_stale(feed, now),
        ..wire::Feed::default()
    };
    if let Some(content) = &feed.content {
        view.dated = show_time(content.dated);
        view.refreshed_at = show_time(Some(content.refreshed_at));
        (view.records, view.added, view.changed, view.removed) = (content.records, content.added, content.changed, content.removed);
        view.bad = content.bad;
        let bad = |(name, reason): &(String, String)| wire::BadRecord { name: name.clone(), reason: reason.clone() };
        view.bad_records = content.bad_shown.iter().map(bad).collect();
    }
    view
}

/// Whether a feed is older than it may be (rule 36).
pub(super) fn is_stale(feed: &FeedRecord, now: Timestamp) -> bool {
    overdue_since(feed) <= now
}
