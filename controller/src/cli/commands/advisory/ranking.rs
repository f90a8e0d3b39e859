//! What ranks the holes of `patchwave advisory match`: feeds beside the advisories, the host's labels, and the scheme.

use std::path::{Path, PathBuf};

use clap::Args;
use patchwave_common::domain::{LabelKey, LabelValue, Labels, ParseError};

use crate::advisory::decision::{Decision, MAX_TABLE_BYTES, Table, parse_table};
use crate::advisory::knowledge::{Facts, NotAFeed, parse_epss, parse_kev, parse_ssvc};
use crate::advisory::priority::{HostClass, Knowledge, decide};
use crate::advisory::record::Advisory;
use crate::cli::error::Exit;
use crate::cli::{CliError, Printer};
use crate::feeds::{Limits, read_records};

/// Bound on a feed that is one document: EPSS has 300,000 rows in 10 MB.
const DOCUMENT_MAX_BYTES: u64 = 256 << 20;
/// Bad entries that are named; all are counted.
const BAD_SHOWN: usize = 5;

/// What ranks the holes.
#[derive(Debug, Args)]
pub struct RankingArguments {
    /// CISA's catalogue of known exploited vulnerabilities, as JSON
    #[arg(long, value_name = "FILE")]
    kev: Option<PathBuf>,
    /// EPSS forecasts, as CSV, gzipped or not
    #[arg(long, value_name = "FILE")]
    epss: Option<PathBuf>,
    /// SSVC decision points: a table with the columns cve, exploitation, automatable and technical_impact
    #[arg(long, value_name = "FILE")]
    ssvc: Option<PathBuf>,
    /// A label of the host; exposure=internet and criticality=high count
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = |text: &str| -> Result<_, ParseError> { Labels::parse_pair(text) })]
    labels: Vec<(LabelKey, LabelValue)>,
    /// How soon holes must be closed: severity, bod-26-04, or a decision table of your own (a path that ends in .toml)
    #[arg(long, value_name = "NAME|FILE", default_value = "severity")]
    scheme: String,
}

/// The same, read.
#[derive(Debug)]
pub(super) struct Ranking {
    scheme: Table,
    knowledge: Knowledge,
    host: HostClass,
}

impl RankingArguments {
    pub(super) fn read(self, printer: &mut Printer) -> Result<Ranking, CliError> {
        let labels = Labels(self.labels.into_iter().collect());
        Ok(Ranking {
            scheme: read_scheme(&self.scheme)?,
            knowledge: Knowledge {
                kev: self.kev.map(|path| read_feed(&path, parse_kev, printer)).transpose()?,
                epss: self.epss.map(|path| read_feed(&path, parse_epss, printer)).transpose()?,
                ssvc: self.ssvc.map(|path| read_feed(&path, parse_ssvc, printer)).transpose()?,
            },
            host: HostClass::of(|label| labels.get(label)),
        })
    }
}

impl Ranking {
    pub(super) fn decide(&self, advisory: &Advisory) -> Decision<'_> {
        decide(&self.scheme, advisory, &self.knowledge, self.host)
    }
}

fn read_scheme(name: &str) -> Result<Table, CliError> {
    if let Some(table) = Table::built_in(name) {
        return Ok(table.clone());
    }
    let known = Table::built_in_names().collect::<Vec<_>>().join(", ");
    if !name.ends_with(".toml") {
        return Err(CliError::wrong_use(
            format!("there is no scheme \"{}\"", patchwave_common::domain::clean_text(name, 80)),
            format!("use one of {known}, or the path of a decision table that ends in .toml"),
        ));
    }
    let limits = Limits { record_bytes: MAX_TABLE_BYTES as u64, ..Limits::default() };
    let bytes = read_document(Path::new(name), &limits)?;
    let refuse = |what: String| {
        CliError::wrong_use(
            format!("{name}: {what}"),
            "mend the table; `patchwave advisory match --help` names those that come with the program",
        )
    };
    let text = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".into()))?;
    parse_table(&text).map_err(|error| refuse(error.to_string()))
}

/// Reads a feed that is one document; what of it is bad is told.
fn read_feed<T>(path: &Path, parse: fn(&[u8]) -> Result<Facts<T>, NotAFeed>, printer: &mut Printer) -> Result<Facts<T>, CliError> {
    let limits = Limits { record_bytes: DOCUMENT_MAX_BYTES, ..Limits::default() };
    let bytes = read_document(path, &limits)?;
    let refuse = |error: NotAFeed| CliError::failed(format!("{}: {error}", path.display()), "check which file belongs to which option");
    let facts = parse(&bytes).map_err(refuse)?;
    if facts.bad.count > 0 {
        let shown: Vec<String> = facts.bad.shown.iter().take(BAD_SHOWN).map(|(name, reason)| format!("  {name}: {reason}")).collect();
        printer.talk(&format!("{}: {} entries could not be read:\n{}", path.display(), facts.bad.count, shown.join("\n")));
    }
    Ok(facts)
}

/// The one record of a file.
fn read_document(path: &Path, limits: &Limits) -> Result<Vec<u8>, CliError> {
    let mut documents = Vec::new();
    read_records(path, limits, &mut |record| documents.push(record.bytes.map(<[u8]>::to_vec)))
        .map_err(|error| CliError::from_hinted(Exit::Failed, &error.to_string(), "check the path"))?;
    let refuse = |what: &str| CliError::failed(format!("{}: {what}", path.display()), "give the one file that the feed publishes");
    match (documents.pop(), documents.is_empty()) {
        (Some(Ok(bytes)), true) => Ok(bytes),
        (Some(Err(reason)), true) => Err(refuse(&reason.to_string())),
        _ => Err(refuse("it holds more than one document")),
    }
}
