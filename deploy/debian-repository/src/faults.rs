//! The ways in which a served archive can be told to fail.

use std::sync::Mutex;

use tokio::sync::watch;

/// What happens to a request instead of an answer with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An answer with this HTTP status and no file: 404, 403, 407, 503 and so on.
    Status(u16),
    /// The connection closes without an answer.
    DropConnection,
    /// The headers and half of the file arrive, then the connection closes.
    Truncate,
    /// The file arrives with one bit wrong: its hash does not fit.
    Corrupt,
    /// No answer until the fault is lifted: holds a download open at a known point.
    Stall,
}

/// The faults in force, shared between the test and the server's connections.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Mutex<Vec<(String, Fault)>>,
    changed: watch::Sender<()>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { rules: Mutex::new(Vec::new()), changed: watch::Sender::new(()) }
    }

    /// Later rules come first, so that a test can narrow or replace an earlier one.
    pub(crate) fn add(&self, fragment: &str, fault: Fault) {
        self.with_rules(|rules| rules.insert(0, (fragment.to_owned(), fault)));
    }

    pub(crate) fn clear(&self) {
        self.with_rules(Vec::clear);
    }

    pub(crate) fn on(&self, path: &str) -> Option<Fault> {
        let rules = self.rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rules.iter().find(|(fragment, _)| path.contains(fragment.as_str())).map(|(_, fault)| *fault)
    }

    /// Waits while `path` is under [`Fault::Stall`]; returns the fault that then applies.
    pub(crate) async fn settled_on(&self, path: &str) -> Option<Fault> {
        let mut changes = self.changed.subscribe();
        loop {
            match self.on(path) {
                Some(Fault::Stall) => {}
                other => return other,
            }
            if changes.changed().await.is_err() {
                return Some(Fault::DropConnection);
            }
        }
    }

    fn with_rules(&self, change: impl FnOnce(&mut Vec<(String, Fault)>)) {
        change(&mut self.rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.changed.send_replace(());
    }
}
