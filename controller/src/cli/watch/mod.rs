//! A rollout while it goes on: [`draw`] is what it looks like, [`changes`] what changed as lines, [`follow`] the shell that shows both.
//!
//! Drawing is pure: the same state at the same width gives the same lines, and no line is ever wider than asked for.

pub mod bar;
pub mod changes;
pub mod draw;
pub mod follow;
mod line;

use patchwave_proto::operator::v1::RolloutDetail;

pub use draw::draw;

/// Whether a rollout is over for who watches it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoesOn,
    /// Everything that was planned is done.
    Completed,
    /// It ended otherwise, or needs a person.
    Ended,
}

impl Verdict {
    /// Of a rollout as the controller shows it.
    #[must_use]
    pub fn of(detail: &RolloutDetail) -> Self {
        let Some(rollout) = &detail.rollout else {
            return Self::GoesOn;
        };
        match rollout.state.as_str() {
            "completed" => Self::Completed,
            "stopped" | "aborted" | "needs-attention" => Self::Ended,
            // A state of a later release: it is over if the controller says when it ended.
            _ if !rollout.ended_at.is_empty() => Self::Ended,
            _ => Self::GoesOn,
        }
    }
}
