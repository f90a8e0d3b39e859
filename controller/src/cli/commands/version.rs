//! `patchwave version`: how versions are ordered. Needs no controller.

use std::cmp::Ordering;
use std::io::{BufRead as _, Read as _};

use clap::Subcommand;
use patchwave_common::domain::version::{self, Ecosystem, MAX_VERSION_BYTES};
use serde::Serialize;

use crate::cli::output::Format;
use crate::cli::{CliError, Printer, output};

const COMPARE_EXAMPLES: &str = "\
Examples:
  patchwave version compare deb 1.0~rc1-1 1.0-1
  patchwave version compare semver 1.0.0-rc.1 1.0.0 -o json
  printf '1.0-1\\t1.0-1+b1\\n' | patchwave version compare deb --stdin";

/// Longest line of `--stdin`: two versions, the tab, and room for white space around them.
const LINE_MAX_BYTES: u64 = 4 * MAX_VERSION_BYTES as u64;

/// Verbs of `version`.
#[derive(Debug, Subcommand)]
pub enum VersionCommand {
    /// Compare two versions as their ecosystem does: prints <, = or >
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare {
        /// Whose rules: deb, rpm, apk, alpm, pep440 or semver
        ecosystem: Ecosystem,
        /// One version
        #[arg(value_name = "A", required_unless_present = "stdin", allow_hyphen_values = true)]
        left: Option<String>,
        /// The other version
        #[arg(value_name = "B", required_unless_present = "stdin", allow_hyphen_values = true)]
        right: Option<String>,
        /// Read lines of A, a tab and B from standard input, and print one answer a line
        #[arg(long, conflicts_with_all = ["left", "right"])]
        stdin: bool,
    },
}

/// An answer as JSON.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    ecosystem: Ecosystem,
    left: &'a str,
    right: &'a str,
    order: &'static str,
}

pub(super) fn run(command: VersionCommand, printer: &mut Printer) -> Result<(), CliError> {
    let VersionCommand::Compare { ecosystem, left, right, stdin } = command;
    if stdin {
        return compare_lines(ecosystem, printer);
    }
    compare(ecosystem, &left.unwrap_or_default(), &right.unwrap_or_default(), printer)
}

/// Answers line by line; the first line that is wrong ends it, with the answers before it printed.
fn compare_lines(ecosystem: Ecosystem, printer: &mut Printer) -> Result<(), CliError> {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let refuse = |what: &str| {
            CliError::wrong_use(format!("line {number} of the standard input {what}"), "each line is a version, one tab, and a version")
        };
        let read = (&mut input).take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| CliError::failed(format!("cannot read the standard input: {error}"), "check where it comes from"))? == 0 {
            break;
        }
        if line.len() as u64 == LINE_MAX_BYTES && line.last() != Some(&b'\n') {
            return Err(refuse(&format!("is longer than {LINE_MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|_| refuse("is not UTF-8"))?;
        let (left, right) = text.trim_end_matches(['\n', '\r']).split_once('\t').ok_or_else(|| refuse("has no tab"))?;
        compare(ecosystem, left, right, printer).map_err(|error| match error {
            CliError::Told { exit, message, hint } => CliError::Told { exit, message: format!("line {number}: {message}"), hint },
            other => other,
        })?;
    }
    Ok(())
}

fn compare(ecosystem: Ecosystem, left: &str, right: &str, printer: &mut Printer) -> Result<(), CliError> {
    let order = version::compare(ecosystem, left, right)
        .map_err(|error| CliError::wrong_use(error.to_string(), "write each version as the ecosystem's own tool shows it"))?;
    let order = match order {
        Ordering::Less => "<",
        Ordering::Equal => "=",
        Ordering::Greater => ">",
    };
    match printer.format() {
        Format::Json => output::json_line(printer, &Compared { ecosystem, left, right, order }),
        Format::Table => Ok(printer.line(order)?),
    }
}
