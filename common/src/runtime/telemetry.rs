//! Logs: `tracing` to standard error, as text for people or JSON for collectors. Standard output belongs to data.
//!
//! A filter names levels by module, and nothing finer (spans, fields): what reads those brings a regular-expression engine into the memory
//! of every host.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The environment variable that sets the filter, e.g. `PATCHWAVE_LOG=debug,h2=warn`.
pub const FILTER_VARIABLE: &str = "PATCHWAVE_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error(
        "the log filter \"{filter}\" (from {origin}) is not valid: {reason}; hint: use for example \"info\" or \"info,patchwave=debug\""
    )]
    Filter {
        /// The filter.
        filter: String,
        /// Where it was set.
        origin: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Logging was set up before in this process.
    #[error("logging is already set up: {0}")]
    Again(#[from] TryInitError),
}

/// Sends all events of this process to standard error. `default_filter` holds unless [`FILTER_VARIABLE`] is set. Call once, from `main`.
///
/// # Errors
/// A filter that does not parse (nothing is swallowed), or a second call.
pub fn init(format: LogFormat, default_filter: &str) -> Result<(), TelemetryError> {
    let (filter, origin) = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) => (filter, FILTER_VARIABLE),
        Err(_) => (default_filter.to_owned(), "the configuration"),
    };
    subscriber(format, parse_filter(&filter, origin)?, std::io::stderr().is_terminal(), std::io::stderr).try_init()?;
    Ok(())
}

/// What turns events into lines; `colours` counts for text alone.
fn subscriber<W>(format: LogFormat, filter: Targets, colours: bool, writer: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(colours))),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false))),
    }
}

fn parse_filter(filter: &str, origin: &'static str) -> Result<Targets, TelemetryError> {
    let refused = |reason: String| TelemetryError::Filter { filter: filter.to_owned(), origin, reason };
    filter.parse().map_err(|error: tracing_subscriber::filter::ParseError| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::{ParseError, clean_text, steers_output};

    /// What one event writes.
    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let writer = move || Sink(sink.clone());
        tracing::subscriber::with_default(subscriber(format, Targets::new().with_default(tracing::Level::INFO), false, writer), log);
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_of_others_stays_one_log_line_without_escapes_in_both_formats() {
        let hostile = "a\u{1b}[2J\u{1b}]0;x\u{7}\nINFO forged: all is well\r\u{9b}31m\u{202e}b\0|\"} ../../etc";
        let error = ParseError::new("host id", hostile, "a host id");
        let detail = clean_text(&format!("{hostile}{}", "x".repeat(1 << 20)), 2_000);
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, || tracing::warn!(%detail, %error, name = clean_text(hostile, 64), "{detail}"));
            assert_eq!(lines.matches('\n').count(), 1, "{lines:?}");
            assert!(lines.trim_end_matches('\n').chars().all(|each| !steers_output(each)), "{lines:?}");
            assert!(lines.len() < 10_000, "{} bytes", lines.len());
        }
    }

    #[test]
    fn a_wrong_filter_is_refused_with_its_origin() {
        let error = parse_filter("info,patchwave=loud", FILTER_VARIABLE).unwrap_err();
        assert!(error.to_string().contains("PATCHWAVE_LOG") && error.to_string().contains("hint"), "{error}");
        assert!(parse_filter("info,h2=warn", FILTER_VARIABLE).is_ok());
    }
}
