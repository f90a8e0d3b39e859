//! Logs: `tracing` to standard error, as text for people or JSON for collectors. Standard output belongs to data.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
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
    let parsed = parse_filter(&filter, origin)?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init()?,
    }
    Ok(())
}

fn parse_filter(filter: &str, origin: &'static str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|error| TelemetryError::Filter {
        filter: filter.to_owned(),
        origin,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wrong_filter_is_refused_with_its_origin() {
        let error = parse_filter("info,patchwave=loud", FILTER_VARIABLE).unwrap_err();
        assert!(error.to_string().contains("PATCHWAVE_LOG") && error.to_string().contains("hint"), "{error}");
        assert!(parse_filter("info,h2=warn", FILTER_VARIABLE).is_ok());
    }
}
