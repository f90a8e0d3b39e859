//! The rollout engine: decides which host gets which patch when, and explains each decision.
//!
//! Terms: a *plan* is immutable and says which host gets which exact versions in which wave; a *rollout* is a plan being carried out. It
//! is a fold over recorded events ([`Rollout::step`]); what happens next is proposed from that state alone ([`Rollout::decide`]), appended
//! to the log by the shell and only then carried out, so that nothing is decided outside the log and replay is exact. A host's
//! *directive* is recomputed from the fold ([`Rollout::directive_for`]). A host is *charged* once when it was harmed, and that is never
//! taken back (rule 3). A host has *begun* once its lease was granted (`applying` is recorded); before that an order can be withdrawn.
//!
//! Pure: no clock, no file, no network, no randomness, and no panic: bad events are rejected. Choice is a salted hash; maps are ordered.
//!
//! How the shell uses it, per rollout:
//! 1. What an agent says becomes an event through [`Rollout::observe`] or [`Rollout::observe_stage`]; an operator's word is an event itself.
//! 2. `step` it, append it together with the claims of its ordered hosts and the ends of claims that [`Transition::unclaimed`] names, then
//!    reconcile the hosts of [`Transition::hosts`]. If the append fails, load the rollout again from its log.
//! 3. Call `decide` until it proposes nothing, each time filling in generations ([`Event::fill_generations`]) and doing as in 2.
//! 4. Come back at [`Rollout::wake_at`], or when something is observed, or presence, halt, claims or quarantine changed.

mod decide;
mod directive;
mod event;
mod explain;
mod history;
pub mod lint;
mod named;
pub mod plan;
pub mod planner;
mod progress;
mod rejected;
mod state;
mod step;
mod view;
mod words;

pub use event::{
    AbsenceCause, Event, MAX_HOSTS_PER_EVENT, Ordered, Outcome, PassReason, PauseReason, Progress, Recorded, SilenceCause, StopReason,
    WaitingReason,
};
pub use explain::Explanation;
pub use history::history_line;
pub use plan::{HostIndex, Plan, SealedPlan, WaveIndex};
pub use progress::{RolloutSummary, Waiting, WaveProgress, WaveStage};
pub use rejected::Rejected;
pub use state::{Phase, Rollout, RolloutState, Staging};
pub use step::Transition;
pub use view::{Halt, HostNow, Liveness, Look, Presence, Standing};
