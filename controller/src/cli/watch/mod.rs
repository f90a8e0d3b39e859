//! A rollout while it goes on: [`draw`] is what it looks like, [`changes`] what changed as lines, [`follow`] the shell that shows both.
//!
//! Drawing is pure: the same state at the same width gives the same lines, and no line is ever wider than asked for.

pub mod bar;
pub mod changes;
pub mod draw;
pub mod follow;
mod line;

use patchwave_proto::operator::v1::{RolloutDetail, RolloutHost};

pub use draw::draw;

/// Whether a rollout is over for who watches it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoesOn,
    /// Every wave is done; only hosts that are away are left, and what they get when they return needs nobody to watch.
    OnlyAbsent,
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
            "catching-up" if only_absent(&detail.hosts) => Self::OnlyAbsent,
            "stopped" | "aborted" | "needs-attention" => Self::Ended,
            // A state of a later release: it is over if the controller says when it ended.
            _ if !rollout.ended_at.is_empty() => Self::Ended,
            _ => Self::GoesOn,
        }
    }
}

/// Whether a host is away and no other has anything to do now.
fn only_absent(hosts: &[RolloutHost]) -> bool {
    let away = |host: &RolloutHost| host.state == "offline" || host.state == "pending" && host.reason == "offline";
    let busy = |host: &RolloutHost| match host.state.as_str() {
        "released" | "accepted" | "applying" | "verifying" | "healthy" | "taking-back" => true,
        "pending" => !away(host) && host.reason != "not-staged",
        _ => false,
    };
    hosts.iter().any(away) && !hosts.iter().any(busy)
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Until {
    /// Every wave is done; hosts that are away are left to the controller
    #[default]
    Waves,
    /// The rollout's own end, hosts that are away included
    End,
}
