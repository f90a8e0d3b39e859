//! How the session is, for `patchwave-agent status`.

use patchwave_common::domain::{HostId, HostMode, Timestamp};
use serde::{Deserialize, Serialize};

use super::acknowledged::Acknowledged;
use super::pause::Ending;

/// How the link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LinkState {
    /// The first try runs.
    Connecting,
    /// The controller has greeted.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// No link; another try follows.
    Waiting {
        /// Why the last one ended.
        why: String,
        /// Since when.
        since: Timestamp,
        /// When the next try is due.
        next_try: Timestamp,
    },
    /// The controller ended the session for good; it is tried again rarely.
    Stopped {
        /// Why, and what to do.
        why: String,
        /// Since when.
        since: Timestamp,
        /// When the next try is due.
        next_try: Timestamp,
    },
}

/// How the session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The link.
    pub link: LinkState,
    /// The host as the controller last named it.
    pub host: Option<HostId>,
    /// The mode that the controller last told.
    pub mode: Option<HostMode>,
    /// How far the host's clock was ahead of the controller's at the last welcome, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
    /// What the controller has on disk.
    pub acknowledged: Acknowledged,
}

impl SessionStatus {
    /// Before the first try.
    #[must_use]
    pub fn new(acknowledged: Acknowledged) -> Self {
        Self { link: LinkState::Connecting, host: None, mode: None, clock_ahead_ms: None, acknowledged }
    }

    /// The controller greeted.
    pub fn welcomed(&mut self, host: HostId, mode: HostMode, clock_ahead_ms: i64, now: Timestamp) {
        self.link = LinkState::Connected { since: now };
        (self.host, self.mode, self.clock_ahead_ms) = (Some(host), Some(mode), Some(clock_ahead_ms));
    }

    /// The link is gone.
    pub fn left(&mut self, ending: Ending, why: &str, now: Timestamp, next_try: Timestamp) {
        let (why, since) = (why.to_owned(), now);
        self.link = match ending {
            Ending::Broken | Ending::Refused => LinkState::Waiting { why, since, next_try },
            Ending::Stopped => LinkState::Stopped { why, since, next_try },
        };
    }
}
