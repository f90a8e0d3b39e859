//! The kinds of feeds: one trait, one table. A new kind is a reader, a row here and a sample in the contract suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::clean_text;

use super::Content;
use crate::advisory::knowledge::{Epss, Facts, Kev, NotAFeed, Ssvc, parse_epss, parse_kev, parse_ssvc};
use crate::advisory::{osv, vex};
use crate::records::FeedKind;

/// Bound on a feed that is one document: EPSS has 300,000 rows in 10 MB.
const DOCUMENT_MAX_BYTES: u64 = 256 << 20;
/// Bound on a record of a feed of many, as [`super::Limits`] argues it.
const RECORD_MAX_BYTES: u64 = 16 << 20;
/// Longest name that an OpenVEX document is kept under.
const NAME_MAX_CHARS: usize = 200;
const HOUR: Duration = Duration::from_secs(3600);

/// Puts the content of one kind of feed together, record by record. A record that is refused leaves no trace.
pub trait FeedReader: Send {
    /// Reads a record; gives what of it could not be used.
    ///
    /// # Errors
    /// Why it cannot be used at all, in plain words.
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<Flaws, String>;

    /// The content.
    fn finish(self: Box<Self>) -> Content;
}

/// What of a record could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flaws {
    /// How many parts.
    pub count: u64,
    /// The first of them: name and reason.
    pub shown: Vec<(String, String)>,
}

/// A kind of feed.
#[derive(Debug)]
pub struct FeedFormat {
    /// Which.
    pub kind: FeedKind,
    /// One line about it.
    pub about: &'static str,
    /// Most bytes of one record, unpacked.
    pub record_bytes: u64,
    /// How often it is refreshed unless an operator says otherwise.
    pub every: Duration,
    /// From which age on its content is an alert unless an operator says otherwise.
    pub max_age: Duration,
    reader: fn() -> Box<dyn FeedReader>,
}

impl FeedFormat {
    /// A reader of this kind.
    #[must_use]
    pub fn reader(&self) -> Box<dyn FeedReader> {
        (self.reader)()
    }

    /// The row of a kind.
    #[must_use]
    pub fn of(kind: FeedKind) -> &'static Self {
        let [osv, kev, epss, ssvc, openvex] = &FORMATS;
        match kind {
            FeedKind::Osv => osv,
            FeedKind::Kev => kev,
            FeedKind::Epss => epss,
            FeedKind::Ssvc => ssvc,
            FeedKind::OpenVex => openvex,
        }
    }
}

/// Every kind, in the order of [`FeedKind::ALL`].
pub static FORMATS: [FeedFormat; 5] = [
    FeedFormat {
        kind: FeedKind::Osv,
        about: "advisories in the OSV schema: a directory, a zip archive such as all.zip, or a file",
        record_bytes: RECORD_MAX_BYTES,
        every: HOUR,
        max_age: HOUR.saturating_mul(48),
        reader: || Box::new(Advisories::default()),
    },
    FeedFormat {
        kind: FeedKind::Kev,
        about: "CISA's catalogue of known exploited vulnerabilities, as JSON",
        record_bytes: DOCUMENT_MAX_BYTES,
        every: HOUR,
        // The catalogue is published anew when there is something to add: some days go by without.
        max_age: HOUR.saturating_mul(24 * 14),
        reader: || Box::new(Document::new(parse_kev, Content::Kev)),
    },
    FeedFormat {
        kind: FeedKind::Epss,
        about: "FIRST's forecasts of exploitation, as CSV, gzipped or not",
        record_bytes: DOCUMENT_MAX_BYTES,
        every: HOUR.saturating_mul(6),
        max_age: HOUR.saturating_mul(24 * 3),
        reader: || Box::new(Document::new(parse_epss, Content::Epss)),
    },
    FeedFormat {
        kind: FeedKind::Ssvc,
        about: "SSVC decision points: a table with the columns cve, exploitation, automatable and technical_impact",
        record_bytes: DOCUMENT_MAX_BYTES,
        every: HOUR.saturating_mul(6),
        max_age: HOUR.saturating_mul(24 * 14),
        reader: || Box::new(Document::new(parse_ssvc, Content::Ssvc)),
    },
    FeedFormat {
        kind: FeedKind::OpenVex,
        about: "OpenVEX documents: a file or a directory of them",
        record_bytes: RECORD_MAX_BYTES,
        every: HOUR,
        // Statements are written when there is something to say.
        max_age: HOUR.saturating_mul(24 * 365),
        reader: || Box::new(Statements::default()),
    },
];

#[derive(Default)]
struct Advisories(BTreeMap<patchwave_common::domain::AdvisoryId, Arc<crate::advisory::record::Advisory>>);

impl FeedReader for Advisories {
    fn take(&mut self, _: &str, bytes: &[u8]) -> Result<Flaws, String> {
        let parsed = osv::parse(bytes).map_err(|error| match error.id {
            Some(id) => format!("{id}: {}", error.reason),
            None => error.reason,
        })?;
        let id = parsed.advisory.id.clone();
        let flaws = parsed.flaws.into_iter().map(|flaw| (id.to_string(), flaw)).collect::<Vec<_>>();
        self.0.insert(id, Arc::new(parsed.advisory));
        // However many flaws, it is one record of which not all could be used.
        Ok(Flaws { count: u64::from(!flaws.is_empty()), shown: flaws })
    }

    fn finish(self: Box<Self>) -> Content {
        Content::Advisories(self.0)
    }
}

/// A feed that is one document.
struct Document<T> {
    parse: fn(&[u8]) -> Result<Facts<T>, NotAFeed>,
    content: fn(Facts<T>) -> Content,
    read: Option<Facts<T>>,
}

impl<T> Document<T> {
    fn new(parse: fn(&[u8]) -> Result<Facts<T>, NotAFeed>, content: fn(Facts<T>) -> Content) -> Self {
        Self { parse, content, read: None }
    }
}

/// What all documents need of their facts.
trait Fact: Send {}
impl Fact for Kev {}
impl Fact for Epss {}
impl Fact for Ssvc {}

impl<T: Fact> FeedReader for Document<T> {
    fn take(&mut self, _: &str, bytes: &[u8]) -> Result<Flaws, String> {
        if self.read.is_some() {
            return Err("the feed is one document, and another came before it".into());
        }
        let facts = (self.parse)(bytes).map_err(|error| error.to_string())?;
        let flaws = Flaws { count: facts.bad.count, shown: facts.bad.shown.clone() };
        self.read = Some(facts);
        Ok(flaws)
    }

    fn finish(self: Box<Self>) -> Content {
        (self.content)(self.read.unwrap_or_default())
    }
}

#[derive(Default)]
struct Statements(BTreeMap<String, Arc<vex::Document>>);

impl FeedReader for Statements {
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<Flaws, String> {
        let document = vex::parse(bytes).map_err(|error| error.to_string())?;
        let flaws = Flaws { count: document.bad.count, shown: document.bad.shown.clone() };
        self.0.insert(clean_text(name, NAME_MAX_CHARS), Arc::new(document));
        Ok(flaws)
    }

    fn finish(self: Box<Self>) -> Content {
        Content::Statements(self.0)
    }
}
