//! How a command ends: typed exit status, and errors that say what to do next.

use std::fmt;
use std::process::ExitCode;

/// The exit status of the program; there are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Done,
    /// What was asked for failed.
    Failed,
    /// It was asked for in a wrong way.
    WrongUse,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::WrongUse => 2,
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliError {
    /// To be told.
    Told {
        /// Status to end with.
        exit: Exit,
        /// What is wrong, in plain words.
        message: String,
        /// The way out, with the next command where there is one.
        hint: String,
    },
    /// The controller cannot be reached now; trying again may help. Status 1.
    Unreachable {
        /// What is wrong, in plain words.
        message: String,
        /// What to check.
        hint: String,
    },
    /// The output says it already, e.g. the last drawing of a rollout that was stopped.
    Shown,
    /// Nobody reads our output any more (`| head`); not an error to speak about.
    OutputClosed,
}

impl CliError {
    /// What was asked for failed.
    #[must_use]
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { exit: Exit::Failed, message: message.into(), hint: hint.into() }
    }

    /// It was asked for in a wrong way.
    #[must_use]
    pub fn wrong_use(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told { exit: Exit::WrongUse, message: message.into(), hint: hint.into() }
    }

    /// From a text in the house form `what is wrong; hint: the way out`; `default_hint` where it has no hint.
    #[must_use]
    pub fn from_hinted(exit: Exit, text: &str, default_hint: &str) -> Self {
        let (message, hint) = split_hint(text).unwrap_or((text, default_hint));
        Self::Told { exit, message: message.to_owned(), hint: hint.to_owned() }
    }

    /// The status to end with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } => *exit,
            Self::Shown | Self::Unreachable { .. } => Exit::Failed,
            Self::OutputClosed => Exit::Done,
        }
    }
}

/// Takes the house form of an error apart: `what is wrong; hint: the way out`, or `what is wrong (hint: the way out)`.
#[must_use]
pub fn split_hint(text: &str) -> Option<(&str, &str)> {
    let (message, hint) = text.split_once("hint: ")?;
    match message.trim_end().strip_suffix('(') {
        Some(message) => Some((message.trim_end(), hint.trim().strip_suffix(')').unwrap_or(hint))),
        None => Some((message.trim_end().trim_end_matches([';', ',']), hint.trim())),
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told { message, hint, .. } | Self::Unreachable { message, hint } => write!(formatter, "{message}\nhint: {hint}"),
            Self::Shown => formatter.write_str("failed, as shown"),
            Self::OutputClosed => formatter.write_str("the output was closed"),
        }
    }
}

impl std::error::Error for CliError {}

impl From<std::io::Error> for CliError {
    /// Of writing output: anything else wraps its error with what it was about.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::failed(format!("cannot write the output: {error}"), "check where standard output goes, and the space left there")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_form_of_an_error_comes_apart_into_message_and_hint() {
        assert_eq!(
            CliError::from_hinted(Exit::Failed, "no such host; hint: see `patchwave host list`", "unused"),
            CliError::failed("no such host", "see `patchwave host list`")
        );
        assert_eq!(split_hint("no policy p (hint: `policy list` (all))"), Some(("no policy p", "`policy list` (all)")));
        assert_eq!(split_hint("nothing to see"), None);
        assert_eq!(CliError::from_hinted(Exit::WrongUse, "no", "try this"), CliError::wrong_use("no", "try this"));
    }

    #[test]
    fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() {
        let closed = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit(), Exit::Done);
        let full = CliError::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), Exit::Failed);
    }
}
