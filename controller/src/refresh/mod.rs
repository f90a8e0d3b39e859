//! Brings feeds up to date: reads a source, keeps its records, and lets them come into use all at once or not at all.
//!
//! Terms: a *refresh* reads a feed's source; an *import* reads a file that somebody carried here. Either gives a new *generation*: its
//! segments are stored one by one, and the write that names it in the feed's record brings it into use. Until then, and where anything fails
//! before, the old one is. One refresh goes on at a time: what is held in memory is one feed twice, old and new.

mod fetch;
mod schedule;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_common::domain::{FeedName, Timestamp, clean_text};
use patchwave_common::runtime::clock::Clock;
use tokio::sync::Mutex;

pub use fetch::{FetchError, FetchLimits, check_url, is_url};
use fetch::{Fetched, fetch};

use crate::assessor::AssessorHandle;
use crate::feeds::{Content, FeedFormat, Flaws, Limits, Packer, SourceError, read_records};
use crate::records::{FeedContent, FeedRecord, FeedTry};
use crate::store::{Change, MAX_PAGE, StoreError, StoreHandle, Write};

/// Bad records that are kept with their reason; all are counted.
const BAD_SHOWN: usize = 20;
/// Longest name or reason that is kept.
const SHOWN_MAX_CHARS: usize = 200;

/// Why a feed could not be set up, removed or brought up to date. What was in use before still is.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// There is no such feed.
    #[error("there is no feed \"{0}\" (hint: `patchwave feed list` shows them)")]
    NoSuchFeed(FeedName),
    /// There is one already.
    #[error("there is a feed \"{0}\" already (hint: remove it first, or choose another name)")]
    AlreadyThere(FeedName),
    /// Only the configuration may do that.
    #[error("feed \"{0}\" is set up in the controller's configuration (hint: change it there)")]
    Configured(FeedName),
    /// It has no source.
    #[error("feed \"{0}\" has no source to read from (hint: `patchwave feed import {0} FILE` brings its content)")]
    NoSource(FeedName),
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Nothing in it can be used.
    #[error("none of its {bad} records can be used, the first since: {first} (hint: check the kind of the feed)")]
    NothingUsable {
        /// How many were tried.
        bad: u64,
        /// Why the first cannot.
        first: String,
    },
    /// Most of what is in use would go.
    #[error(
        "it has {now} records where {before} are in use: holes would be forgotten (hint: was it cut off? `--accept-smaller` takes it all the same)"
    )]
    MuchSmaller {
        /// Records of the new content.
        now: u64,
        /// Records in use.
        before: u64,
    },
    /// Packing failed.
    #[error("its records cannot be packed: {0}")]
    Pack(std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Findings are not kept now.
    #[error(transparent)]
    Gone(#[from] crate::assessor::Gone),
}

/// Brings feeds up to date.
pub struct Feeds {
    /// Where files lie while they are fetched: private, and on the disk that has room for them.
    directory: PathBuf,
    limits: FetchLimits,
    store: StoreHandle,
    assessor: AssessorHandle,
    clock: Arc<dyn Clock>,
    one_at_a_time: Mutex<()>,
}

/// What a reading gave.
struct Reading {
    content: Content,
    segments: u32,
    bad: Flaws,
}

impl Feeds {
    /// Over a store, for an assessor; what is fetched lies in `directory` meanwhile.
    #[must_use]
    pub fn new(store: StoreHandle, assessor: AssessorHandle, clock: Arc<dyn Clock>, directory: PathBuf) -> Self {
        Self { directory, limits: FetchLimits::default(), store, assessor, clock, one_at_a_time: Mutex::new(()) }
    }

    /// Every feed, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<FeedRecord>, StoreError> {
        self.store
            .read(|store| {
                let mut all: Vec<FeedRecord> = Vec::new();
                loop {
                    let page = store.feeds(all.last().map(|feed| &feed.name), MAX_PAGE)?;
                    let is_last = page.len() < MAX_PAGE;
                    all.extend(page);
                    if is_last {
                        return Ok(all);
                    }
                }
            })
            .await
    }

    /// Sets a feed up; its content comes with the first refresh or import.
    ///
    /// # Errors
    /// Where there is one of that name.
    pub async fn add(&self, feed: FeedRecord) -> Result<(), RefreshError> {
        let _one = self.one_at_a_time.lock().await;
        if self.find(&feed.name).await.is_ok() {
            return Err(RefreshError::AlreadyThere(feed.name));
        }
        self.put(feed).await
    }

    /// Removes a feed and what it told.
    ///
    /// # Errors
    /// Where there is none, or the configuration sets it up.
    pub async fn remove(&self, name: &FeedName) -> Result<FeedRecord, RefreshError> {
        let _one = self.one_at_a_time.lock().await;
        let feed = self.find(name).await?;
        if feed.configured {
            return Err(RefreshError::Configured(name.clone()));
        }
        self.store.write(Write::new(vec![Change::RemoveFeed(name.clone())])).await?;
        self.assessor.set_content(name.clone(), None).await?;
        Ok(feed)
    }

    /// Reads a feed's source.
    ///
    /// # Errors
    /// Why the old content still is in use. The feed's record tells it too.
    pub async fn refresh(&self, name: &FeedName, accept_smaller: bool) -> Result<FeedRecord, RefreshError> {
        let _one = self.one_at_a_time.lock().await;
        let feed = self.find(name).await?;
        if feed.source.is_empty() {
            return Err(RefreshError::NoSource(name.clone()));
        }
        if !is_url(&feed.source) {
            let source = PathBuf::from(&feed.source);
            return self.take(feed, &source, accept_smaller, String::new()).await;
        }
        let known = feed.content.as_ref().map_or("", |content| content.validator.as_str());
        match fetch(&feed.source, known, &self.directory, &self.limits).await {
            Ok(Fetched::NotModified) => self.still_the_newest(feed).await,
            Ok(Fetched::File { path, validator }) => self.take(feed, &path, accept_smaller, validator).await,
            Err(error) => {
                let error = RefreshError::from(error);
                self.tell_failure(&feed, &error).await?;
                Err(error)
            }
        }
    }

    /// The server has nothing newer than what is in use.
    async fn still_the_newest(&self, mut feed: FeedRecord) -> Result<FeedRecord, RefreshError> {
        let at = self.clock.now();
        feed.last_try = Some(FeedTry { at, error: None });
        if let Some(content) = &mut feed.content {
            content.refreshed_at = at;
            (content.added, content.changed, content.removed) = (0, 0, 0);
        }
        self.put(feed.clone()).await?;
        Ok(feed)
    }

    /// Reads a file in a feed's place.
    ///
    /// # Errors
    /// As of [`Self::refresh`].
    pub async fn import(&self, name: &FeedName, file: &Path, accept_smaller: bool) -> Result<FeedRecord, RefreshError> {
        let _one = self.one_at_a_time.lock().await;
        let feed = self.find(name).await?;
        self.take(feed, file, accept_smaller, String::new()).await
    }

    async fn find(&self, name: &FeedName) -> Result<FeedRecord, RefreshError> {
        let wanted = name.clone();
        let found = self.store.read(move |store| store.feed(&wanted)).await?;
        found.ok_or_else(|| RefreshError::NoSuchFeed(name.clone()))
    }

    async fn put(&self, feed: FeedRecord) -> Result<(), RefreshError> {
        self.store.write(Write::new(vec![Change::PutFeed(Box::new(feed))])).await?;
        Ok(())
    }

    /// Tries to bring a source's content into use, and keeps how that went.
    async fn take(&self, feed: FeedRecord, source: &Path, accept_smaller: bool, validator: String) -> Result<FeedRecord, RefreshError> {
        let result = self.try_take(feed.clone(), source, accept_smaller, validator).await;
        if let Err(error) = &result {
            self.tell_failure(&feed, error).await?;
        }
        result
    }

    /// Keeps why a refresh failed, and nothing of what it brought.
    async fn tell_failure(&self, feed: &FeedRecord, error: &RefreshError) -> Result<(), RefreshError> {
        tracing::warn!(feed = %feed.name, %error, "the feed was not refreshed; what was in use still is");
        let tried = FeedTry { at: self.clock.now(), error: Some(clean_text(&error.to_string(), 500)) };
        let keep = feed.content.as_ref().map(|content| content.generation);
        let changes = vec![
            Change::PutFeed(Box::new(FeedRecord { last_try: Some(tried), ..feed.clone() })),
            Change::DropFeedSegments { feed: feed.name.clone(), keep },
        ];
        self.store.write(Write::new(changes)).await?;
        Ok(())
    }

    async fn try_take(
        &self,
        mut feed: FeedRecord,
        source: &Path,
        accept_smaller: bool,
        validator: String,
    ) -> Result<FeedRecord, RefreshError> {
        let generation = feed.content.as_ref().map_or(1, |content| content.generation + 1);
        // Left behind by a controller that ended within a refresh.
        let keep = feed.content.as_ref().map(|content| content.generation);
        self.store.write(Write::new(vec![Change::DropFeedSegments { feed: feed.name.clone(), keep }])).await?;
        let reading = self.read(&feed, generation, source).await?;
        let name = feed.name.clone();
        let before = self.assessor.ask(move |assessor| assessor.content(&name)).await?;
        let had = before.as_ref().map_or(0, |before| before.len());
        let now = reading.content.len();
        if now == 0
            && let Some((name, reason)) = reading.bad.shown.first()
        {
            return Err(RefreshError::NothingUsable { bad: reading.bad.count, first: format!("{name}: {reason}") });
        }
        if now < had / 2 && !accept_smaller {
            return Err(RefreshError::MuchSmaller { now, before: had });
        }
        let delta = reading.content.delta(before.as_deref());
        let at = self.clock.now();
        feed.content = Some(FeedContent {
            generation,
            segments: reading.segments,
            records: now,
            dated: reading.content.dated(),
            refreshed_at: at,
            added: delta.added,
            changed: delta.changed,
            removed: delta.removed,
            bad: reading.bad.count,
            bad_shown: reading.bad.shown,
            validator,
        });
        feed.last_try = Some(FeedTry { at, error: None });
        let changes =
            vec![Change::PutFeed(Box::new(feed.clone())), Change::DropFeedSegments { feed: feed.name.clone(), keep: Some(generation) }];
        self.store.write(Write::new(changes)).await?;
        self.assessor.set_content(feed.name.clone(), Some(Arc::new(reading.content))).await?;
        tracing::info!(feed = %feed.name, records = now, added = delta.added, changed = delta.changed, removed = delta.removed, "feed refreshed");
        Ok(feed)
    }

    /// Reads a source on a thread that may block, and keeps its records on the way.
    async fn read(&self, feed: &FeedRecord, generation: u64, source: &Path) -> Result<Reading, RefreshError> {
        let (store, name, source) = (self.store.clone(), feed.name.clone(), source.to_owned());
        let format = FeedFormat::of(feed.kind);
        let reading = tokio::task::spawn_blocking(move || {
            let mut keeper = Keeper { store, name, generation, segments: 0, packer: Packer::default(), failed: None };
            let (mut reader, mut bad) = (format.reader(), Flaws::default());
            let limits = Limits { record_bytes: format.record_bytes, ..Limits::default() };
            read_records(&source, &limits, &mut |record| {
                let taken = match record.bytes {
                    Ok(bytes) => reader.take(record.name, bytes).inspect(|_| keeper.keep(record.name, bytes)),
                    Err(reason) => Err(reason.to_string()),
                };
                note(&mut bad, record.name, taken);
            })?;
            let segments = keeper.finish()?;
            Ok(Reading { content: reader.finish(), segments, bad })
        });
        reading.await.unwrap_or(Err(RefreshError::Store(StoreError::Closed)))
    }
}

/// Counts what of a record could not be used.
fn note(bad: &mut Flaws, name: &str, taken: Result<Flaws, String>) {
    let flaws = taken.unwrap_or_else(|reason| Flaws { count: 1, shown: vec![(name.to_owned(), reason)] });
    bad.count += flaws.count;
    let room = BAD_SHOWN.saturating_sub(bad.shown.len());
    let shown = flaws.shown.iter().take(room);
    bad.shown.extend(shown.map(|(name, reason)| (clean_text(name, SHOWN_MAX_CHARS), clean_text(reason, SHOWN_MAX_CHARS))));
}

/// Stores the records of a generation, segment by segment.
struct Keeper {
    store: StoreHandle,
    name: FeedName,
    generation: u64,
    segments: u32,
    packer: Packer,
    /// What went wrong first; nothing is kept after that.
    failed: Option<RefreshError>,
}

impl Keeper {
    fn keep(&mut self, name: &str, record: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        match self.packer.push(name, record) {
            Ok(segment) => self.put(segment),
            Err(error) => self.failed = Some(RefreshError::Pack(error)),
        }
    }

    fn put(&mut self, segment: Option<bytes::Bytes>) {
        let Some(records) = segment else { return };
        let change = Change::PutFeedSegment { feed: self.name.clone(), generation: self.generation, index: self.segments, records };
        self.segments += 1;
        if let Err(error) = tokio::runtime::Handle::current().block_on(self.store.write(Write::new(vec![change]))) {
            self.failed = Some(error.into());
        }
    }

    /// The number of segments.
    fn finish(mut self) -> Result<u32, RefreshError> {
        let last = self.packer.finish().map_err(RefreshError::Pack)?;
        if self.failed.is_none() {
            self.put(last);
        }
        self.failed.map_or(Ok(self.segments), Err)
    }
}

/// Whether a feed's content is older than it may be, and since when it is so.
#[must_use]
pub fn overdue_since(feed: &FeedRecord) -> Timestamp {
    let last = feed.content.as_ref().map_or(feed.added_at, |content| content.refreshed_at);
    let dated = feed.content.as_ref().and_then(|content| content.dated).unwrap_or(last);
    // A server that gives the same old content again and again is as bad as one that gives none (rule 36).
    last.min(dated).plus(feed.max_age)
}
