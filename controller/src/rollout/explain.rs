//! For one host: what happens, when, or why not.

use patchwave_common::domain::{HostId, Timestamp};

use super::plan::WaveIndex;
use super::state::Rollout;
use super::view::Liveness;

/// The answer for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The host.
    pub host: HostId,
    /// Where it stands, e.g. `pending`, `applying`, `excluded`.
    pub state: String,
    /// Stable code of the reason, e.g. `held`, `earlier-wave`, `soaking`.
    pub code: &'static str,
    /// In plain words: what happens, when, or why not.
    pub text: String,
    /// Its wave.
    pub wave: Option<WaveIndex>,
    /// The earliest moment at which something can happen, where known.
    pub when: Option<Timestamp>,
}

impl Rollout {
    /// Explains one host. A host that the plan does not know is explained as such.
    #[must_use]
    pub fn explain(&self, host: &HostId, at: Timestamp, view: &dyn Liveness) -> Explanation {
        let _ = (at, view);
        Explanation { host: host.clone(), state: String::new(), code: "", text: String::new(), wave: None, when: None }
    }
}
