//! What a command fails with: a sentence, and the way out.

use std::process::ExitCode;

use patchwave_common::runtime::atomic_file::FileError;
use patchwave_common::runtime::config::ConfigError;

use crate::hint;

/// A command's failure, as the user reads it.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hint: Option<String>,
    wrong_use: bool,
}

impl CliError {
    /// What was asked for failed: exit status 1.
    pub fn failed(message: impl ToString) -> Self {
        Self { message: message.to_string(), hint: None, wrong_use: false }
    }

    /// The command was used wrongly: exit status 2.
    pub fn wrong_use(message: impl ToString) -> Self {
        Self { wrong_use: true, ..Self::failed(message) }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit status.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.wrong_use { 2 } else { 1 })
    }

    /// Message and hint; errors of other modules may bring a hint of their own in the message.
    #[must_use]
    pub fn text(&self) -> String {
        let (message, own) = hint::split(&self.message);
        match self.hint.as_ref().or(own.as_ref()) {
            Some(hint) => format!("error: {message}\nhint: {hint}\n"),
            None => format!("error: {message}\n"),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::failed(error)
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        let denied = matches!(&error, FileError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
        let failed = Self::failed(error);
        if denied { failed.hint("the agent's state belongs to root; use sudo, or name another --state-dir") } else { failed }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("cannot write the output: {error}"))
    }
}
