//! `patchwave feed`: where advisories, and what is known of holes, come from.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use patchwave_common::domain::{FeedName, Timestamp};
use patchwave_proto::operator::v1::{AddFeedRequest, Feed, FeedRequest, ImportFeedRequest, ListFeedsRequest, RefreshFeedRequest};

use crate::cli::output::{self, Tabular};
use crate::cli::status::{About, explain};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, one_line, relative, span};
use crate::cli::{CliError, Session, values};
use crate::records::FeedKind;

const ADD_EXAMPLES: &str = "\
The source is a URL, or a path on the controller's machine, and is read anew every so often. Without one, `feed import` brings the content, \
as for a site without a way to the internet.

Examples:
  patchwave feed add debian --kind osv https://feeds.example.org/debian/all.zip
  patchwave feed add kev --kind kev /srv/feeds/known_exploited_vulnerabilities.json --every 1h --max-age 7d
  patchwave feed add epss --kind epss";
const LIST_EXAMPLES: &str = "\
Examples:
  patchwave feed list
  patchwave feed list -o json      also which records could not be used, and why";
const REFRESH_EXAMPLES: &str = "\
Either the whole new content is in use afterwards, or the old one still is.

Examples:
  patchwave feed refresh debian
  patchwave feed refresh debian --accept-smaller";
const IMPORT_EXAMPLES: &str = "\
Examples:
  patchwave feed import debian ./all.zip
  patchwave feed import epss epss_scores-current.csv.gz";
const REMOVE_EXAMPLES: &str = "\
What only this feed spoke of is no longer known: hosts of whose release no other feed speaks become unknown, never clean.

Examples:
  patchwave feed remove epss";

/// Bytes of a file that travel in one message: half of what the controller takes as one.
const PART_BYTES: usize = 512 << 10;
/// How long an import may take on the controller after the last part: it reads and stores some 100,000 records.
const IMPORT_SECS: u64 = 1_800;

/// A kind of feed, for the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Advisories in the OSV schema: a directory, a zip archive such as all.zip, or a file
    Osv,
    /// CISA's catalogue of known exploited vulnerabilities, as JSON
    Kev,
    /// FIRST's forecasts of exploitation, as CSV, gzipped or not
    Epss,
    /// SSVC decision points: a table with the columns cve, exploitation, automatable and technical_impact
    Ssvc,
    /// OpenVEX documents: a file or a directory of them
    Openvex,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Osv => FeedKind::Osv,
            Self::Kev => FeedKind::Kev,
            Self::Epss => FeedKind::Epss,
            Self::Ssvc => FeedKind::Ssvc,
            Self::Openvex => FeedKind::OpenVex,
        }
        .as_str()
    }
}

/// Verbs of `feed`.
#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// Set a feed up, and read it at once
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// Its name here
        #[arg(value_parser = |text: &str| FeedName::parse(text))]
        name: FeedName,
        /// What it tells, and in which form
        #[arg(long, value_name = "KIND")]
        kind: Kind,
        /// A URL, or an absolute path on the controller's machine
        #[arg(value_name = "SOURCE", default_value = "", hide_default_value = true)]
        source: String,
        /// How often it is read [default: what is usual for the kind]
        #[arg(long, value_name = "SPAN", value_parser = values::duration)]
        every: Option<Duration>,
        /// From which age on its content is an alert [default: what is usual for the kind]
        #[arg(long, value_name = "SPAN", value_parser = values::duration)]
        max_age: Option<Duration>,
    },
    /// List feeds: what they hold, how old it is, what the last refresh changed
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Read a feed's source now
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh {
        /// The feed
        #[arg(value_parser = |text: &str| FeedName::parse(text))]
        name: FeedName,
        /// Take content with less than half of the records in use
        #[arg(long)]
        accept_smaller: bool,
    },
    /// Take a file of this machine as a feed's content
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The feed
        #[arg(value_parser = |text: &str| FeedName::parse(text))]
        name: FeedName,
        /// The file; a directory is imported as a zip archive of it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Take content with less than half of the records in use
        #[arg(long)]
        accept_smaller: bool,
    },
    /// Remove a feed and what it told
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// The feed
        #[arg(value_parser = |text: &str| FeedName::parse(text))]
        name: FeedName,
    },
}

pub(super) async fn run(command: FeedCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        FeedCommand::Add { name, kind, source, every, max_age } => {
            let span = |span: Option<Duration>| span.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
            let request = AddFeedRequest {
                name: name.into(),
                kind: kind.name().to_owned(),
                source,
                every_ms: span(every),
                max_age_ms: span(max_age),
            };
            let feed = session.ask(About::Feed, async |client| client.add_feed(request).await).await?;
            output::act(session.printer, &feed, added)
        }
        FeedCommand::List => {
            let list = session.ask(About::Feed, async |client| client.list_feeds(ListFeedsRequest {}).await).await?;
            let stale: Vec<&str> = list.feeds.iter().filter(|feed| feed.stale).map(|feed| feed.name.as_str()).collect();
            output::list(session.printer, &list.feeds)?;
            if !stale.is_empty() {
                session.printer.talk(&format!(
                    "ALERT: older than allowed: {}. Findings do not know what was published since (hint: `patchwave feed refresh NAME`).",
                    stale.join(", ")
                ));
            }
            Ok(())
        }
        FeedCommand::Refresh { name, accept_smaller } => {
            let request = RefreshFeedRequest { name: name.into(), accept_smaller };
            let feed = session.ask(About::Feed, async |client| client.refresh_feed(request).await).await?;
            output::act(session.printer, &feed, refreshed)
        }
        FeedCommand::Import { name, file, accept_smaller } => {
            let feed = import(name, &file, accept_smaller, session).await?;
            output::act(session.printer, &feed, refreshed)
        }
        FeedCommand::Remove { name } => {
            let request = FeedRequest { name: name.into() };
            let feed = session.ask(About::Feed, async |client| client.remove_feed(request).await).await?;
            output::act(session.printer, &feed, |feed| format!("Feed {} is removed, with {} records.", feed.name, feed.records))
        }
    }
}

/// Sends a file part by part.
async fn import(name: FeedName, file: &Path, accept_smaller: bool, session: &mut Session<'_>) -> Result<Feed, CliError> {
    let refuse = |error: std::io::Error| CliError::failed(format!("cannot read {}: {error}", file.display()), "check the path");
    if file.is_dir() {
        return Err(CliError::failed(format!("{} is a directory", file.display()), "pack it first: `zip -r feed.zip DIRECTORY`"));
    }
    let mut opened = std::fs::File::open(file).map_err(refuse)?;
    let (sender, parts) = tokio::sync::mpsc::channel(2);
    let (reading, name) = (tokio::sync::oneshot::channel::<std::io::Error>(), String::from(name));
    let (failed, failure) = reading;
    tokio::task::spawn_blocking(move || {
        let mut is_first = true;
        loop {
            let mut data = Vec::with_capacity(PART_BYTES);
            match (&mut opened).take(PART_BYTES as u64).read_to_end(&mut data) {
                Ok(0) if !is_first => return,
                Ok(_) => {}
                Err(error) => {
                    // Nobody waits for it where the call has ended already.
                    let _ = failed.send(error);
                    return;
                }
            }
            let name = if is_first { name.clone() } else { String::new() };
            is_first = false;
            if sender.blocking_send(ImportFeedRequest { name, accept_smaller, data }).is_err() {
                return;
            }
        }
    });
    let (mut client, target) = session.connected().await?;
    let call = client.import_feed(tokio_stream::wrappers::ReceiverStream::new(parts));
    let answer = tokio::time::timeout(Duration::from_secs(IMPORT_SECS), call).await;
    if let Ok(error) = failure.await {
        return Err(refuse(error));
    }
    match answer {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(explain(&status, &target, About::Feed)),
        Err(_) => Err(CliError::failed(format!("no answer within {IMPORT_SECS} s"), "`patchwave feed list` shows what is in use")),
    }
}

fn added(feed: &Feed) -> String {
    match (feed.error.as_str(), feed.source.as_str()) {
        ("", "") => format!("Feed {} is set up.\nNext: `patchwave feed import {} FILE` brings its content", feed.name, feed.name),
        ("", _) => refreshed(feed),
        (error, _) => format!("Feed {} is set up, but could not be read: {}", feed.name, one_line(error)),
    }
}

fn refreshed(feed: &Feed) -> String {
    let bad = match feed.bad_records.first() {
        None => String::new(),
        Some(first) => format!(
            "\n{} of its records could not be used, or not whole; the first: {}: {}",
            feed.bad,
            one_line(&first.name),
            one_line(&first.reason)
        ),
    };
    format!(
        "Feed {}: {} records in use; {} added, {} changed, {} removed.{bad}\nNext: `patchwave finding list`",
        feed.name, feed.records, feed.added, feed.changed, feed.removed
    )
}

impl Tabular for Feed {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("KIND"),
        Column::new("RECORDS").right(),
        Column::new("CHANGES").expendable(3),
        Column::new("BAD").right().expendable(2),
        Column::new("DATED").expendable(1),
        Column::new("REFRESHED"),
        Column::new("LIMIT").expendable(4),
        Column::new("SOURCE").shrinks_to(12).expendable(5),
        Column::new("STATE").wraps(),
    ];
    const EMPTY: &'static str =
        "There are no feeds, so nothing is known of holes (hint: `patchwave feed add debian --kind osv /path/to/all.zip`).";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        let age = |instant: &str| if instant.is_empty() { String::new() } else { relative(instant, now) };
        let (state, tone) = match (self.error.is_empty(), self.stale, self.refreshed_at.is_empty()) {
            (false, true, _) => (format!("stale; last refresh failed: {}", self.error), Tone::Bad),
            (false, false, _) => (format!("last refresh failed: {}", self.error), Tone::Warn),
            (true, true, _) => ("stale".to_owned(), Tone::Bad),
            (true, false, true) => ("empty".to_owned(), Tone::Warn),
            (true, false, false) => ("ok".to_owned(), Tone::Good),
        };
        vec![
            Cell::from(&self.name),
            Cell::from(&self.kind),
            Cell::from(self.records.to_string()),
            Cell::from(format!("+{} ~{} -{}", self.added, self.changed, self.removed)),
            Cell::harm(self.bad),
            Cell::from(age(&self.dated)),
            Cell::from(age(&self.refreshed_at)),
            Cell::from(span(self.max_age_ms)),
            Cell::from(if self.source.is_empty() { "imported" } else { &self.source }),
            Cell::toned(state, tone),
        ]
    }
}
