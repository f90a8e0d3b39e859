//! What the verbs that work on this machine hand to the controller's library: plain values, checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use patchwave_common::domain::OperatorName;

use super::values::StoreKind;

/// For `patchwave init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSettings {
    /// Where the controller keeps everything; made by this.
    pub state_dir: PathBuf,
    /// Names the fleet in every identity.
    pub trust_domain: String,
    /// DNS names and addresses under which hosts and operators reach the controller; the first stands in the context.
    pub names: Vec<String>,
    /// Port that the first operator's context names.
    pub port: u16,
    /// The first operator, with the role admin.
    pub operator: OperatorName,
    /// Which store.
    pub store: StoreKind,
}

/// For `patchwave serve`. What is absent comes from the configuration file, then from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServeSettings {
    /// The configuration file, if one was named.
    pub config: Option<PathBuf>,
    /// Where the controller keeps everything.
    pub state_dir: Option<PathBuf>,
    /// Address and port for agents and operators.
    pub listen: Option<SocketAddr>,
}

/// For `patchwave restore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreSettings {
    /// What `patchwave backup` wrote.
    pub backup: PathBuf,
    /// The state directory to make; must not hold one.
    pub state_dir: PathBuf,
    /// Which store to make.
    pub store: StoreKind,
}
