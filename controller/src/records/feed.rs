//! Feeds: where advisories and what is known of them come from, and what of that is in use.

use std::time::Duration;

use patchwave_common::domain::{FeedName, Timestamp};

use super::Actor;

/// What a feed tells, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeedKind {
    /// Advisories in the OSV schema.
    Osv,
    /// CISA's catalogue of known exploited vulnerabilities.
    Kev,
    /// FIRST's forecasts of exploitation.
    Epss,
    /// Decision points in the manner of SSVC.
    Ssvc,
    /// Statements in the form of OpenVEX.
    OpenVex,
}

impl FeedKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Osv, Self::Kev, Self::Epss, Self::Ssvc, Self::OpenVex];

    /// The name on the command line, in configuration and on disk.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Osv => "osv",
            Self::Kev => "kev",
            Self::Epss => "epss",
            Self::Ssvc => "ssvc",
            Self::OpenVex => "openvex",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A feed as it was set up, and what of it is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRecord {
    /// Its name here.
    pub name: FeedName,
    /// What it tells.
    pub kind: FeedKind,
    /// A URL, or a path on the controller; empty where its content is only imported.
    pub source: String,
    /// How often it is refreshed.
    pub every: Duration,
    /// From which age on its content is an alert.
    pub max_age: Duration,
    /// Who set it up.
    pub added_by: Actor,
    /// When.
    pub added_at: Timestamp,
    /// Whether the controller's configuration sets it up, so that only the configuration changes or removes it.
    pub configured: bool,
    /// What is in use; `None` before the first refresh that succeeds.
    pub content: Option<FeedContent>,
    /// The last refresh that was tried.
    pub last_try: Option<FeedTry>,
}

/// Content that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedContent {
    /// Which of the feed's generations; counts up.
    pub generation: u64,
    /// In how many segments it is kept.
    pub segments: u32,
    /// Records that can be used.
    pub records: u64,
    /// The date that the content gives itself.
    pub dated: Option<Timestamp>,
    /// When it came into use, or was last found to be still the newest.
    pub refreshed_at: Timestamp,
    /// Records that the content before did not have.
    pub added: u64,
    /// Records that say something else than before.
    pub changed: u64,
    /// Records that only the content before had.
    pub removed: u64,
    /// Records that could not be used, or not all of them.
    pub bad: u64,
    /// The first of those: name and reason.
    pub bad_shown: Vec<(String, String)>,
    /// What the server calls this content; empty where it does not say.
    pub validator: String,
}

/// A refresh that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedTry {
    /// When.
    pub at: Timestamp,
    /// Why it failed, in plain words; `None` where it succeeded.
    pub error: Option<String>,
}
