//! Why stored bytes of a rollout cannot be read.

/// Why stored bytes of a rollout cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not protobuf of this kind.
    #[error("the stored {what} is damaged: {detail} (hint: bring back a backup with `patchwave restore`)")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A field that must be there is not, or holds what this release does not know.
    #[error("the stored record has no {0} that this release knows (hint: it may have been written by a newer release; run that one)")]
    Missing(&'static str),
    /// The bytes are not those that the digest names.
    #[error(
        "the stored {what} does not have the digest that names it (hint: it was changed after it was written; bring back a backup with `patchwave restore`)"
    )]
    Digest {
        /// What was read.
        what: &'static str,
    },
    /// The parts do not make a plan.
    #[error(transparent)]
    Plan(#[from] crate::rollout::plan::PlanFault),
    /// A value that is not what its type demands.
    #[error(transparent)]
    Value(#[from] patchwave_common::domain::ParseError),
}

impl LogError {
    pub(super) fn damaged(what: &'static str, error: &prost::DecodeError) -> Self {
        Self::Damaged { what, detail: error.to_string() }
    }
}
