//! Feeds, and the logs of findings and fixes.

use std::time::Duration;

use patchwave_common::domain::{FeedName, PackageName, PackageVersion, Timestamp};
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::feed;

use super::{CodecError, Stored, actor, digest, timestamp};
use crate::records::{FeedContent, FeedKind, FeedRecord, FeedTry, FindingEntry, FixKey, FixRecord};

impl Stored for FeedRecord {
    type Message = v1::Feed;
    const WHAT: &'static str = "feed";

    fn to_message(&self) -> v1::Feed {
        v1::Feed {
            name: self.name.to_string(),
            kind: self.kind.as_str().to_owned(),
            source: self.source.clone(),
            every_ms: milliseconds(self.every),
            max_age_ms: milliseconds(self.max_age),
            added_by: self.added_by.to_string(),
            added_at_ms: self.added_at.0,
            configured: self.configured,
            content: self.content.as_ref().map(content_to_message),
            last_try: self.last_try.as_ref().map(|tried| feed::Try { at_ms: tried.at.0, error: tried.error.clone().unwrap_or_default() }),
        }
    }

    fn from_message(message: v1::Feed) -> Result<Self, CodecError> {
        let kind = FeedKind::of_name(&message.kind).ok_or_else(|| CodecError::new("feed kind", "unknown"))?;
        let tried = |tried: feed::Try| FeedTry { at: Timestamp(tried.at_ms), error: Some(tried.error).filter(|error| !error.is_empty()) };
        Ok(Self {
            name: FeedName::parse(message.name)?,
            kind,
            source: message.source,
            every: Duration::from_millis(message.every_ms),
            max_age: Duration::from_millis(message.max_age_ms),
            added_by: actor(&message.added_by)?,
            added_at: Timestamp(message.added_at_ms),
            configured: message.configured,
            content: message.content.map(content_from_message),
            last_try: message.last_try.map(tried),
        })
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn content_to_message(content: &FeedContent) -> feed::Content {
    let bad = |(name, reason): &(String, String)| feed::BadRecord { name: name.clone(), reason: reason.clone() };
    feed::Content {
        generation: content.generation,
        segments: content.segments,
        records: content.records,
        dated_ms: content.dated.map(|dated| dated.0),
        refreshed_at_ms: content.refreshed_at.0,
        added: content.added,
        changed: content.changed,
        removed: content.removed,
        bad: content.bad,
        bad_shown: content.bad_shown.iter().map(bad).collect(),
        validator: content.validator.clone(),
    }
}

fn content_from_message(message: feed::Content) -> FeedContent {
    FeedContent {
        generation: message.generation,
        segments: message.segments,
        records: message.records,
        dated: timestamp(message.dated_ms),
        refreshed_at: Timestamp(message.refreshed_at_ms),
        added: message.added,
        changed: message.changed,
        removed: message.removed,
        bad: message.bad,
        bad_shown: message.bad_shown.into_iter().map(|bad| (bad.name, bad.reason)).collect(),
        validator: message.validator,
    }
}

impl Stored for FindingEntry {
    type Message = v1::FindingEntry;
    const WHAT: &'static str = "entry of findings";

    /// Without the host, which the row's key and the backup's entry have.
    fn to_message(&self) -> v1::FindingEntry {
        v1::FindingEntry { host: String::new(), number: self.number, at_ms: self.at.0, batch: self.batch.0.to_vec() }
    }

    fn from_message(message: v1::FindingEntry) -> Result<Self, CodecError> {
        Ok(Self { number: message.number, at: Timestamp(message.at_ms), batch: digest(&message.batch)? })
    }
}

impl Stored for FixRecord {
    type Message = v1::Fix;
    const WHAT: &'static str = "fix";

    fn to_message(&self) -> v1::Fix {
        v1::Fix {
            origin: self.key.origin.clone(),
            source: self.key.source.to_string(),
            version: self.key.version.to_string(),
            first_seen_ms: self.first_seen.0,
        }
    }

    fn from_message(message: v1::Fix) -> Result<Self, CodecError> {
        let key = FixKey {
            origin: message.origin,
            source: PackageName::parse(message.source)?,
            version: PackageVersion::parse(message.version)?,
        };
        Ok(Self { key, first_seen: Timestamp(message.first_seen_ms) })
    }
}
