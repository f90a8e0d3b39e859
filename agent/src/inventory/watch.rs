//! Notices changes in the directories where a package manager keeps its state.
//!
//! Directories are watched, not files: dpkg replaces its status file by renaming, and a watch on the file would follow the old one.
//! A transaction makes hundreds of changes, so a *burst* of them is told once: when it has been quiet for [`QUIET`], or when it has
//! lasted for [`LONGEST`]. Where the kernel has no watches left, the caller is woken every [`POLL`] instead.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use inotify::{EventMask, EventStream, Inotify, WatchDescriptor, WatchMask};
use tokio::time::{Instant, sleep_until};

/// A burst is over when nothing happened for so long: dpkg writes several times a second while it works.
pub const QUIET: Duration = Duration::from_secs(1);
/// A burst is told after so long in any case: a host is reported within seconds also in the middle of a long transaction.
pub const LONGEST: Duration = Duration::from_secs(5);
/// How often directories that are not there yet are looked for; and how often the caller is woken where watching is impossible.
pub const POLL: Duration = Duration::from_secs(30);
/// Room for events read at once: about a hundred with their names.
const BUFFER_BYTES: usize = 8 * 1024;

/// The times of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// See [`QUIET`].
    pub quiet: Duration,
    /// See [`LONGEST`].
    pub longest: Duration,
    /// See [`POLL`].
    pub poll: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { quiet: QUIET, longest: LONGEST, poll: POLL }
    }
}

/// When a burst of changes is to be told. Pure: instants come from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Burst {
    first_and_last: Option<(Instant, Instant)>,
}

impl Burst {
    fn add(&mut self, at: Instant) {
        let first = self.first_and_last.map_or(at, |(first, _)| first);
        self.first_and_last = Some((first, at));
    }

    fn due(&self, times: &Times) -> Option<Instant> {
        self.first_and_last.map(|(first, last)| (last + times.quiet).min(first + times.longest))
    }
}

/// A watch over directories.
#[derive(Debug)]
pub struct Watch {
    stream: Option<EventStream<Vec<u8>>>,
    watched: HashMap<WatchDescriptor, PathBuf>,
    missing: Vec<PathBuf>,
    burst: Burst,
    next_poll: Instant,
    times: Times,
}

impl Watch {
    /// Watches these directories, and those of them that appear later. To be called on a runtime.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Self::with_times(directories, Times::default())
    }

    /// As [`Self::new`] with other times.
    #[must_use]
    pub fn with_times(directories: Vec<PathBuf>, times: Times) -> Self {
        let stream = Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; BUFFER_BYTES]));
        let stream = stream.inspect_err(|error| tracing::warn!(%error, "no watch on the packages is possible, they are looked at instead"));
        let mut watch = Self {
            stream: stream.ok(),
            watched: HashMap::new(),
            missing: directories,
            burst: Burst::default(),
            next_poll: Instant::now() + times.poll,
            times,
        };
        watch.add_missing();
        watch
    }

    /// Whether changes are noticed as they happen; else the caller is woken every [`POLL`].
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.stream.is_some() && !self.watched.is_empty()
    }

    /// Waits for the end of a burst of changes. Nothing is lost if the wait is dropped and begun again.
    pub async fn changed(&mut self) {
        loop {
            let due = self.burst.due(&self.times);
            let wake = due.map_or(self.next_poll, |due| due.min(self.next_poll));
            tokio::select! {
                event = next_event(&mut self.stream) => self.take(event),
                () = sleep_until(wake) => {
                    if due.is_some_and(|due| due <= Instant::now()) {
                        self.burst = Burst::default();
                        return;
                    }
                    if self.next_poll <= Instant::now() {
                        self.next_poll = Instant::now() + self.times.poll;
                        self.add_missing();
                        if !self.is_immediate() {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, event: Option<std::io::Result<inotify::EventOwned>>) {
        match event {
            Some(Ok(event)) => {
                // A watch that ended: its directory was replaced, and the one that stands there now is to be watched.
                if event.mask.contains(EventMask::IGNORED) {
                    self.missing.extend(self.watched.remove(&event.wd));
                    self.add_missing();
                    self.burst.add(Instant::now());
                } else if event.mask.contains(EventMask::Q_OVERFLOW) || event.name.as_deref().is_none_or(is_state) {
                    self.burst.add(Instant::now());
                }
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the watch on the packages broke, they are looked at instead");
                self.stream = None;
            }
            None => self.stream = None,
        }
    }

    fn add_missing(&mut self) {
        let Some(stream) = &self.stream else {
            return;
        };
        let mask = WatchMask::CREATE | WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
        let mut watches = stream.watches();
        self.missing.retain(|directory| match watches.add(directory, mask | WatchMask::ONLYDIR) {
            Ok(descriptor) => {
                self.watched.insert(descriptor, directory.clone());
                false
            }
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    let hint = "the kernel may have no watches left: see fs.inotify.max_user_watches";
                    tracing::warn!(%error, directory = %directory.display(), hint, "this directory is not watched");
                }
                true
            }
        });
    }
}

/// Never ready where there is no watch.
async fn next_event(stream: &mut Option<EventStream<Vec<u8>>>) -> Option<std::io::Result<inotify::EventOwned>> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// Whether a file of this name can be part of the state: locks and files being written are not.
fn is_state(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    !(name.starts_with("lock") || name == "daily_lock" || name == "partial" || name.starts_with("tmp.") || name.ends_with("-new"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    /// Generous: the machine may be busy. A test that passes waits for milliseconds.
    const DEADLINE: Duration = Duration::from_secs(20);

    fn watch(directories: &[&Path]) -> Watch {
        let directories = directories.iter().map(|path| (*path).to_owned()).collect();
        let ms = Duration::from_millis;
        Watch::with_times(directories, Times { quiet: ms(20), longest: ms(200), poll: ms(60) })
    }

    async fn told(watch: &mut Watch) -> bool {
        tokio::time::timeout(DEADLINE, watch.changed()).await.is_ok()
    }

    #[test]
    fn a_burst_is_told_when_it_is_quiet_or_when_it_lasts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let times = Times { quiet: Duration::from_millis(100), longest: Duration::from_millis(250), poll: POLL };
        let mut burst = Burst::default();
        assert_eq!(burst.due(&times), None);
        for (event, due) in [(0, 100), (50, 150), (140, 240), (200, 250), (240, 250)] {
            burst.add(at(event));
            assert_eq!(burst.due(&times), Some(at(due)), "after the change at {event}");
        }
    }

    #[test]
    fn locks_and_files_being_written_are_no_change() {
        for name in ["lock", "lock-frontend", "partial", "tmp.i", "status-new"] {
            assert!(!is_state(name.as_ref()), "{name}");
        }
        for name in ["status", "0000", "extended_states", "deb.debian.org_debian_dists_bookworm_InRelease"] {
            assert!(is_state(name.as_ref()), "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_replaced_by_renaming_is_noticed_again_and_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = watch(&[directory.path()]);
        assert!(watch.is_immediate());
        for round in 0..3 {
            std::fs::write(directory.path().join("status-new"), round.to_string()).unwrap();
            std::fs::rename(directory.path().join("status-new"), directory.path().join("status")).unwrap();
            assert!(told(&mut watch).await, "round {round}");
        }
    }

    #[tokio::test]
    async fn a_change_in_any_directory_is_noticed_and_a_dropped_wait_loses_nothing() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut watch = watch(&[one.path(), two.path()]);
        std::fs::write(two.path().join("extended_states"), "x").unwrap();
        // The first poll takes the event in; then the wait is dropped.
        assert!(tokio::time::timeout(Duration::ZERO, watch.changed()).await.is_err());
        assert!(told(&mut watch).await);
    }

    #[tokio::test]
    async fn a_directory_that_is_replaced_is_watched_anew() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("dpkg");
        std::fs::create_dir(&directory).unwrap();
        let mut watch = watch(&[&directory]);
        std::fs::remove_dir(&directory).unwrap();
        std::fs::create_dir(&directory).unwrap();
        assert!(told(&mut watch).await, "the replacement itself");
        std::fs::write(directory.join("status"), "x").unwrap();
        assert!(told(&mut watch).await, "a change in the new directory");
    }

    #[tokio::test]
    async fn where_nothing_can_be_watched_the_caller_is_woken_regularly() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("dpkg");
        let mut watch = watch(&[&directory]);
        assert!(!watch.is_immediate());
        assert!(told(&mut watch).await, "nothing happened, and nothing could have been seen");
        std::fs::create_dir(&directory).unwrap();
        // The next look finds the directory; from then on a change is seen as it happens.
        while !watch.is_immediate() {
            watch.add_missing();
        }
        std::fs::write(directory.join("status"), "x").unwrap();
        assert!(told(&mut watch).await);
    }
}
