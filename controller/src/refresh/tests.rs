#![allow(clippy::unwrap_used, clippy::panic)]
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use patchwave_common::runtime::clock::ManualClock;

use super::*;
use crate::assessor::{AssessorParts, FindingSettings, start};
use crate::conductor::{self, ConductorParts, ConductorSettings};
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::records::{Actor, FeedKind};
use crate::sessions::Sessions;
use crate::store::{Store, open_memory};

/// Feeds over a store, with an assessor that knows them.
pub(crate) struct Desk {
    pub(crate) feeds: Feeds,
    pub(crate) assessor: AssessorHandle,
    pub(crate) clock: Arc<ManualClock>,
}

impl Desk {
    pub(crate) async fn over(store: &Arc<dyn Store>, fleet: Arc<Fleet>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_795_000_000_000)));
        let store = StoreHandle::start(store.clone()).unwrap();
        let parts = ConductorParts {
            store: store.clone(),
            fleet: fleet.clone(),
            sessions: Arc::new(Sessions::default()),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::default()),
            settings: ConductorSettings::default(),
        };
        let conductor = conductor::start(parts).await.unwrap();
        let settings = FindingSettings::default();
        let assessor = start(AssessorParts { store: store.clone(), fleet, conductor, clock: clock.clone(), settings });
        Self { feeds: Feeds::new(store, assessor.clone(), clock.clone(), std::env::temp_dir()), assessor, clock }
    }

    async fn alone() -> (Arc<dyn Store>, Self) {
        let store = open_memory().unwrap();
        let desk = Self::over(&store, Arc::new(Fleet::new(Timestamp(0), Duration::ZERO))).await;
        (store, desk)
    }

    pub(crate) async fn add(&self, name: &str, kind: FeedKind, source: &Path) -> FeedName {
        let name = FeedName::parse(name).unwrap();
        let hour = Duration::from_secs(3_600);
        let feed = FeedRecord {
            name: name.clone(),
            kind,
            source: source.display().to_string(),
            every: hour,
            max_age: hour * 48,
            added_by: Actor::Local,
            added_at: self.clock.now(),
            configured: false,
            content: None,
            last_try: None,
        };
        self.feeds.add(feed).await.unwrap();
        name
    }

    async fn in_use(&self, name: &FeedName) -> u64 {
        let name = name.clone();
        self.assessor.ask(move |assessor| assessor.content(&name).map_or(0, |content| content.len())).await.unwrap()
    }
}

/// A record about a Debian package.
pub(crate) fn record(id: &str, package: &str, fixed: &str) -> String {
    format!(
        r#"{{"id":"{id}","modified":"2026-11-10T00:00:00Z","affected":[{{"package":{{"ecosystem":"Debian:12","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
    )
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

#[tokio::test]
async fn a_refresh_tells_what_changed_and_a_later_run_has_the_same_content() {
    let (store, desk) = Desk::alone().await;
    let source = tempfile::tempdir().unwrap();
    for number in 0..4 {
        write(source.path(), &format!("{number}.json"), &record(&format!("CVE-2026-{number}"), "a", "2"));
    }
    let name = desk.add("debian", FeedKind::Osv, source.path()).await;
    let first = desk.feeds.refresh(&name, false).await.unwrap().content.unwrap();
    assert_eq!((first.records, first.added, first.changed, first.removed, first.bad), (4, 4, 0, 0, 0));
    write(source.path(), "1.json", &record("CVE-2026-1", "a", "3"));
    std::fs::remove_file(source.path().join("2.json")).unwrap();
    write(source.path(), "7.json", &record("CVE-2026-7", "a", "2"));
    write(source.path(), "8.json", "{\"id\": 8");
    let second = desk.feeds.refresh(&name, false).await.unwrap().content.unwrap();
    assert_eq!((second.records, second.added, second.changed, second.removed, second.bad), (4, 1, 1, 1, 1));
    assert_eq!((second.generation, second.bad_shown[0].0.as_str()), (2, "8.json"));
    assert_eq!(store.feed_segment(&name, 1, 0).unwrap(), None, "the old generation is gone");
    let later = Desk::over(&store, Arc::new(Fleet::new(Timestamp(0), Duration::ZERO))).await;
    let wanted = name.clone();
    let read = |desk: &Desk| {
        let (assessor, name) = (desk.assessor.clone(), wanted.clone());
        async move { assessor.ask(move |assessor| assessor.content(&name)).await.unwrap().unwrap() }
    };
    assert_eq!(read(&later).await, read(&desk).await);
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_old_content_in_use_and_says_why() {
    let (store, desk) = Desk::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("feed");
    std::fs::create_dir(&source).unwrap();
    for number in 0..4 {
        write(&source, &format!("{number}.json"), &record(&format!("CVE-2026-{number}"), "a", "2"));
    }
    let name = desk.add("debian", FeedKind::Osv, &source).await;
    desk.feeds.refresh(&name, false).await.unwrap();
    let told = |store: &Arc<dyn Store>| store.feed(&name).unwrap().unwrap().last_try.unwrap().error.unwrap_or_default();

    // Cut off.
    std::fs::rename(&source, folder.path().join("away")).unwrap();
    std::fs::write(&source, b"PK\x03\x04 cut off").unwrap();
    assert!(matches!(desk.feeds.refresh(&name, false).await, Err(RefreshError::Source(_))));
    assert!(told(&store).contains("damaged zip archive"), "{}", told(&store));
    // Of another kind.
    std::fs::write(&source, "cve,epss,percentile\n").unwrap();
    assert!(matches!(desk.feeds.refresh(&name, false).await, Err(RefreshError::NothingUsable { bad: 1, .. })));
    // Gone.
    std::fs::remove_file(&source).unwrap();
    assert!(desk.feeds.refresh(&name, false).await.is_err());
    // Most of it is missing.
    std::fs::create_dir(&source).unwrap();
    write(&source, "0.json", &record("CVE-2026-0", "a", "2"));
    let error = desk.feeds.refresh(&name, false).await.unwrap_err();
    assert!(matches!(error, RefreshError::MuchSmaller { now: 1, before: 4 }), "{error}");
    assert_eq!(desk.in_use(&name).await, 4);
    let record = store.feed(&name).unwrap().unwrap();
    assert_eq!(record.content.unwrap().generation, 1);
    assert_eq!(store.feed_segment(&name, 2, 0).unwrap(), None, "nothing is left of what failed");
    assert_eq!(desk.feeds.refresh(&name, true).await.unwrap().content.unwrap().removed, 3);
}

#[tokio::test]
async fn a_feed_without_a_source_takes_files_and_a_removed_one_is_forgotten() {
    let (store, desk) = Desk::alone().await;
    let name = desk.add("kev", FeedKind::Kev, Path::new("")).await;
    assert!(matches!(desk.feeds.refresh(&name, false).await, Err(RefreshError::NoSource(_))));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let entry = r#"{"cveID":"CVE-2026-1","dateAdded":"2026-11-01","dueDate":"2026-11-22"}"#;
    write!(file, r#"{{"dateReleased":"2026-11-02T10:00:00Z","vulnerabilities":[{entry},{{"cveID":"x"}}]}}"#).unwrap();
    let content = desk.feeds.import(&name, file.path(), false).await.unwrap().content.unwrap();
    assert_eq!((content.records, content.bad), (1, 1));
    assert!(desk.assessor.ask(|assessor| assessor.knowledge().kev.is_some()).await.unwrap());
    desk.feeds.remove(&name).await.unwrap();
    assert_eq!((store.feed(&name).unwrap(), desk.in_use(&name).await), (None, 0));
    assert!(desk.assessor.ask(|assessor| assessor.knowledge().kev.is_none()).await.unwrap());
    assert!(matches!(desk.feeds.remove(&name).await, Err(RefreshError::NoSuchFeed(_))));
}

#[tokio::test]
async fn feeds_are_read_when_their_time_has_come_and_an_old_one_is_loud() {
    let (store, desk) = Desk::alone().await;
    let source = tempfile::tempdir().unwrap();
    write(source.path(), "1.json", &record("CVE-2026-1", "a", "2"));
    let name = desk.add("debian", FeedKind::Osv, source.path()).await;
    let read = || store.feed(&name).unwrap().unwrap();
    desk.feeds.refresh_due().await;
    let first = read().content.unwrap().refreshed_at;
    desk.clock.advance(Duration::from_secs(1_800));
    desk.feeds.refresh_due().await;
    assert_eq!(read().content.unwrap().refreshed_at, first, "not yet");
    desk.clock.advance(Duration::from_secs(1_800));
    desk.feeds.refresh_due().await;
    assert_eq!(read().content.unwrap().refreshed_at, desk.clock.now());
    // The content's own date counts: a source that gives the same old records again and again is no fresher for it.
    let dated = read().content.unwrap().dated.unwrap();
    assert_eq!(overdue_since(&read()), dated.plus(Duration::from_secs(48 * 3_600)));
}

#[tokio::test]
async fn the_catalogue_of_2026_adds_270_to_that_of_2025() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/feeds");
    let (old, new) = (data.join("kev-2025-08-25.json"), data.join("kev-2026-08-21.json"));
    if !old.exists() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: {} is not there", old.display());
        }
        return;
    }
    let (_, desk) = Desk::alone().await;
    let name = desk.add("kev", FeedKind::Kev, Path::new("")).await;
    desk.feeds.import(&name, &old, false).await.unwrap();
    assert_eq!(desk.feeds.import(&name, &new, false).await.unwrap().content.unwrap().added, 270);
}
