//! From a context to an open connection.

use patchwave_common::domain::Timestamp;
use tonic::transport::Channel;

use super::arguments::GlobalOptions;
use super::error::CliError;

/// Whom a command talks to, for its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The controller's address.
    pub controller: String,
    /// The context that names it.
    pub context: String,
    /// The operator whose certificate is used.
    pub operator: String,
}

/// Opens the connection that the current context (or the options) name.
pub async fn open(options: &GlobalOptions, _now: Timestamp) -> Result<(Channel, Target), CliError> {
    let _ = options;
    Err(CliError::failed("there is no context yet", "run `patchwave init` on the controller's machine, which makes the first one"))
}
