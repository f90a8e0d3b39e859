//! `patchwave advisory`: what advisories say of packages.

mod ranking;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use patchwave_common::domain::dpkg::installed_packages;
use patchwave_common::domain::{AdvisoryId, InstalledPackage, Timestamp, clean_text, show_duration};
use patchwave_proto::operator::v1::AdvisoryRequest;
use serde::Serialize;

use crate::advisory::cvss::Severity;
use crate::advisory::decision::Due;
use crate::advisory::matching::{AdvisorySet, Match, PackageKey};
use crate::advisory::osv;
use crate::advisory::record::Space;
use crate::cli::error::Exit;
use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::{CliError, Printer, Session};
use crate::feeds::{Limits, read_records};
use ranking::Ranking;

const MATCH_EXAMPLES: &str = "\
Examples:
  patchwave advisory match --osv all.zip --status-file /var/lib/dpkg/status --os debian:12
  patchwave advisory match --osv ./records --status-file status --os ubuntu:22.04 -o json
  patchwave advisory match --osv all.zip --status-file status --os debian:12 --kev kev.json --epss epss.csv.gz --label exposure=internet
  patchwave advisory match --osv all.zip --status-file status --os debian:12 --kev kev.json --ssvc points.tsv --scheme bod-26-04";

const SHOW_EXAMPLES: &str = "\
Examples:
  patchwave advisory show CVE-2026-1234
  patchwave advisory show DSA-6001-1 -o json";

/// Bound on a status file, as the agent has it: 4,000 packages are about 5 MB.
const STATUS_MAX_BYTES: u64 = 64 << 20;
/// Bad records that are named; all are counted.
const BAD_SHOWN: usize = 5;

/// Verbs of `advisory`.
#[derive(Debug, Subcommand)]
pub enum AdvisoryCommand {
    /// Match packages against advisories, offline: needs no controller
    #[command(after_help = MATCH_EXAMPLES)]
    Match {
        /// Advisories in the OSV schema: a file, a directory of .json files, or a zip archive of them
        #[arg(long, value_name = "PATH")]
        osv: PathBuf,
        /// A copy of dpkg's status file
        #[arg(long, value_name = "FILE")]
        status_file: PathBuf,
        /// The host's system and release, e.g. debian:12
        #[arg(long, value_name = "SYSTEM:RELEASE", value_parser = |text: &str| Space::parse_os(text))]
        os: Space,
        /// How the holes are ranked
        #[command(flatten)]
        ranking: ranking::RankingArguments,
    },
    /// Show who is affected by an advisory, and how far patching has come
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The advisory, by any of its names
        #[arg(value_parser = |text: &str| AdvisoryId::parse(text))]
        advisory: AdvisoryId,
    },
}

/// One hole of one source package.
#[derive(Debug, Serialize)]
struct Found {
    advisory: String,
    /// The source package, of which the distribution's advisories speak.
    package: String,
    installed: String,
    /// The first version without the hole; null where there is none yet.
    fixed: Option<String>,
    severity: Option<Severity>,
    /// How soon it must be closed once there is a fix, in seconds; null: with the next upgrade.
    within_secs: Option<u64>,
    /// Whether the host must be searched for traces of an attack.
    investigate: bool,
    /// The ruling with each of its steps.
    why: String,
    /// Other names of the hole.
    aliases: Vec<String>,
    /// What is installed of the source package.
    binaries: BTreeSet<String>,
}

pub(super) async fn run(command: AdvisoryCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        AdvisoryCommand::Match { osv, status_file, os, ranking } => {
            let ranking = ranking.read(session.printer)?;
            match_offline(&osv, &status_file, os, &ranking, session.printer)
        }
        AdvisoryCommand::Show { advisory } => {
            let request = AdvisoryRequest { advisory: advisory.into() };
            let detail = session.ask(About::Finding, async |client| client.show_advisory(request).await).await?;
            output::one(session.printer, &detail, show::print)
        }
    }
}

fn match_offline(osv: &Path, status_file: &Path, os: Space, ranking: &Ranking, printer: &mut Printer) -> Result<(), CliError> {
    let packages = read_status(status_file)?;
    let advisories = read_advisories(osv, &os, printer)?;
    if !advisories.covers(&os) {
        return Err(CliError::failed(
            format!("no advisory in {} speaks of {os}: whether its packages have holes is unknown", osv.display()),
            "give advisories of that release, such as its archive from the OSV database",
        ));
    }
    let mut keys: BTreeMap<PackageKey, BTreeSet<String>> = BTreeMap::new();
    for package in &packages {
        if let Some(key) = PackageKey::of(&os, package) {
            keys.entry(key).or_default().insert(package.id.name.to_string());
        }
    }
    let mut found = Vec::new();
    for (key, binaries) in &keys {
        let matches = advisories.matches(key);
        if matches.unreadable {
            let version = clean_text(&key.version, 80);
            printer.talk(&format!("{}: its version \"{version}\" cannot be compared, so nothing is known of it", key.name));
        }
        found.extend(matches.found.iter().map(|it| Found::new(key, it, binaries, ranking)));
    }
    // The most urgent first; what waits for an upgrade last.
    found.sort_by(|left, right| left.order().cmp(&right.order()));
    output::list(printer, &found)
}

impl Found {
    fn new(key: &PackageKey, found: &Match, binaries: &BTreeSet<String>, ranking: &Ranking) -> Self {
        let decision = ranking.decide(&found.advisory);
        let within_secs = match decision.outcome.due {
            Due::Within(span) => Some(span.as_secs()),
            Due::NextUpgrade => None,
        };
        Self {
            advisory: found.advisory.id.to_string(),
            package: key.name.to_string(),
            installed: key.version.to_string(),
            fixed: found.hit.fixed.as_ref().map(ToString::to_string),
            severity: found.advisory.severity(),
            within_secs,
            investigate: decision.outcome.investigate,
            why: decision.to_string(),
            aliases: found.advisory.aliases.iter().map(ToString::to_string).collect(),
            binaries: binaries.clone(),
        }
    }

    /// How soon, in a few letters.
    fn within(&self) -> String {
        let span = self.within_secs.map_or_else(|| "upgrade".to_owned(), |secs| show_duration(Duration::from_secs(secs)));
        if self.investigate { format!("{span} + search") } else { span }
    }

    fn order(&self) -> (u64, bool, &str, &str, &str) {
        (self.within_secs.unwrap_or(u64::MAX), !self.investigate, &self.package, &self.advisory, &self.installed)
    }
}

fn read_status(path: &Path) -> Result<Vec<InstalledPackage>, CliError> {
    let refuse = |what: String| CliError::failed(format!("{}: {what}", path.display()), "give a copy of /var/lib/dpkg/status");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    file.take(STATUS_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > STATUS_MAX_BYTES {
        return Err(refuse(format!("it is larger than {} MiB", STATUS_MAX_BYTES >> 20)));
    }
    // Ancient packages have maintainers' names in other encodings; that must not hide them.
    let packages: Vec<InstalledPackage> = installed_packages(&String::from_utf8_lossy(&bytes)).collect();
    if packages.is_empty() { Err(refuse("it tells of no package".into())) } else { Ok(packages) }
}

/// The advisories that speak of the system; what cannot be read of a source is told.
fn read_advisories(path: &Path, os: &Space, printer: &mut Printer) -> Result<AdvisorySet, CliError> {
    let (mut advisories, mut bad, mut shown) = (AdvisorySet::default(), 0u64, Vec::new());
    let mut note = |name: &str, reason: String| {
        bad += 1;
        if shown.len() < BAD_SHOWN {
            shown.push(format!("  {name}: {reason}"));
        }
    };
    read_records(path, &Limits::default(), &mut |record| {
        let parsed = match record.bytes {
            Ok(bytes) => osv::parse(bytes),
            Err(reason) => return note(record.name, reason.to_string()),
        };
        match parsed {
            Ok(parsed) => {
                if !parsed.flaws.is_empty() {
                    note(record.name, parsed.flaws.join("; "));
                }
                if parsed.advisory.affected.iter().any(|affected| affected.space == *os) {
                    advisories.insert(Arc::new(parsed.advisory));
                }
            }
            Err(error) => note(record.name, error.reason),
        }
    })
    .map_err(|error| CliError::from_hinted(Exit::Failed, &error.to_string(), "check the path"))?;
    if bad > 0 {
        let more = if bad as usize > shown.len() { "\n  …" } else { "" };
        printer.talk(&format!("{bad} records could not be read, or not all of them:\n{}{more}", shown.join("\n")));
    }
    Ok(advisories)
}

impl Tabular for Found {
    const COLUMNS: &'static [Column] = &[
        Column::new("ADVISORY"),
        Column::new("SEVERITY").expendable(1),
        Column::new("WITHIN"),
        Column::new("PACKAGE"),
        Column::new("INSTALLED"),
        Column::new("FIXED"),
        Column::new("BINARIES").expendable(2).shrinks_to(16),
    ];
    const EMPTY: &'static str = "No advisory speaks of these packages in these versions.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.advisory),
            Cell::from(self.severity.map_or("", Severity::as_str)),
            Cell::from(&self.within()),
            Cell::from(&self.package),
            Cell::from(&self.installed),
            Cell::from(self.fixed.as_deref().unwrap_or("none yet")),
            Cell::from(&self.binaries.iter().cloned().collect::<Vec<_>>().join(" ")),
        ]
    }
}
