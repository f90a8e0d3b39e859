//! What a host's report does to it.
//!
//! A report speaks of a generation. It may be the *order* that the host has now, or the *applied* directive while an order to take it back
//! is on its way; anything else is void.

use patchwave_common::domain::{Generation, HarmReason, NotStagedReason, RefusalReason, Timestamp};

use super::Transition;
use super::orders::{MAX_RELEASE_TRIES, MAX_TAKE_BACK_TRIES};
use crate::rollout::event::{Event, Progress};
use crate::rollout::plan::HostIndex;
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{CHANGED, Cause, Phase, Rollout, SILENT, TAKE_BACK};

/// Which directive a report speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The order of the plan.
    Order,
    /// The order of the plan, while the order to take it back stands.
    Applied,
    /// The order to take back.
    TakeBack,
}

/// What an accepted report does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// To a phase, without harm.
    To(Phase),
    /// To a phase, and a failure is charged.
    Charge(Phase),
    /// Refused for good.
    Refused,
    /// Refused for a reason that may pass: ordered again later.
    Again,
    /// It could not stage after all.
    NotStaged(NotStagedReason),
    /// The order to take back was refused for a reason that may pass: ordered again later.
    TakeBackAgain,
}

impl Event {
    /// The generation that a report speaks of.
    pub(super) fn generation(&self) -> Generation {
        if let Self::HostProgress { generation, .. } = self { *generation } else { Generation::default() }
    }
}

impl Rollout {
    pub(super) fn check_progress(&self, host: HostIndex, generation: Generation, progress: &Progress) -> Result<(), Rejected> {
        self.judge(host, generation, progress).map(|_| ())
    }

    /// What a report does, or why it does nothing.
    fn judge(&self, host: HostIndex, generation: Generation, progress: &Progress) -> Result<Move, Rejected> {
        let phase = self.known(host)?;
        let current = self.hosts.generation(host);
        let applied = self.hosts.take_backs.get(&host).map(|order| order.of);
        let ordered_back = self.hosts.has(host, TAKE_BACK);
        let role = match generation {
            _ if generation == Generation::default() => return Err(Rejected::Stale { got: generation, current }),
            _ if generation == current && (ordered_back || applied.is_some()) => Role::TakeBack,
            _ if generation == current => Role::Order,
            _ if applied == Some(generation) => Role::Applied,
            _ => return Err(Rejected::Stale { got: generation, current }),
        };
        match role {
            Role::Order if matches!(phase, Phase::Pending | Phase::Offline | Phase::Retired) => {
                Err(Rejected::Stale { got: generation, current })
            }
            Role::Order => self.judge_order(host, phase, progress),
            Role::Applied => judge_applied(phase, progress),
            Role::TakeBack => self.judge_take_back(host, phase, progress),
        }
    }

    fn judge_order(&self, host: HostIndex, phase: Phase, progress: &Progress) -> Result<Move, Rejected> {
        use Phase::{Accepted, Applying, Concluded, Harmed, Healthy, NeedsAttention, Released, TakenBack, TakingBack, Verifying};
        let forward = |from: &[Phase], to: Move| if from.contains(&phase) { Ok(to) } else { not_from(phase, progress) };
        let returned = matches!(self.hosts.cause(host), Cause::Harmed(HarmReason::Silent | HarmReason::Reported));
        match (progress, self.is_reverse()) {
            (Progress::Accepted, _) => forward(&[Released], Move::To(Accepted)),
            (Progress::Applying, _) if matches!(phase, Released | Accepted) && !self.is_releasing() => {
                Err(self.wrong_state("granting a lease", "the order will be withdrawn"))
            }
            (Progress::Applying | Progress::Begun, _) | (Progress::TakingBack, true) => forward(&[Released, Accepted], Move::To(Applying)),
            (Progress::Verifying, _) => forward(&[Released, Accepted, Applying], Move::To(Verifying)),
            // The host was let go already, so nothing is watched any more: it is healed and that is all.
            (Progress::Healthy, _) | (Progress::TakenBack, true) if phase == NeedsAttention => Ok(Move::To(Concluded)),
            (Progress::Healthy, _) | (Progress::TakenBack, true) => {
                forward(&[Released, Accepted, Applying, Verifying, Harmed], Move::To(Healthy))
            }
            (Progress::Refused { reason, .. }, _) => forward(&[Released, Accepted, Applying], refusal(*reason, self.hosts.tries(host))),
            (Progress::Harmed { .. }, _) if phase == Harmed && returned => Ok(Move::Charge(Harmed)),
            (Progress::Harmed { .. }, _) => forward(&[Released, Accepted, Applying, Verifying, Healthy], Move::Charge(Harmed)),
            (Progress::TakingBack, false) => forward(&[Released, Accepted, Applying, Verifying, Healthy, Harmed], Move::Charge(TakingBack)),
            (Progress::TakenBack, false) => {
                forward(&[Released, Accepted, Applying, Verifying, Healthy, Harmed, TakingBack, NeedsAttention], Move::Charge(TakenBack))
            }
            (Progress::NeedsAttention { .. }, _) => {
                forward(&[Released, Accepted, Applying, Verifying, Healthy, Harmed, TakingBack], Move::Charge(NeedsAttention))
            }
        }
    }

    fn judge_take_back(&self, host: HostIndex, phase: Phase, progress: &Progress) -> Result<Move, Rejected> {
        let ordered = matches!(phase, Phase::Harmed | Phase::TakingBack) && self.hosts.has(host, TAKE_BACK);
        let tries = self.hosts.take_backs.get(&host).map_or(0, |order| order.tries);
        match progress {
            Progress::Accepted if ordered => Err(Rejected::NoNews),
            Progress::Applying | Progress::Begun | Progress::Verifying | Progress::TakingBack if ordered && phase == Phase::Harmed => {
                Ok(Move::To(Phase::TakingBack))
            }
            Progress::TakenBack | Progress::Healthy if ordered || phase == Phase::NeedsAttention => Ok(Move::To(Phase::TakenBack)),
            Progress::Refused { reason: RefusalReason::NoReceipt, .. } if ordered && !self.hosts.has(host, CHANGED) => Ok(Move::Refused),
            Progress::Refused { reason, .. } if ordered && may_pass(*reason) && tries < MAX_TAKE_BACK_TRIES => Ok(Move::TakeBackAgain),
            Progress::Refused { .. } | Progress::Harmed { .. } | Progress::NeedsAttention { .. } if ordered => {
                Ok(Move::To(Phase::NeedsAttention))
            }
            _ => not_from(phase, progress),
        }
    }

    pub(super) fn apply_progress(
        &mut self,
        host: HostIndex,
        generation: Generation,
        progress: &Progress,
        at: Timestamp,
        changes: &mut Transition,
    ) {
        let Ok(step) = self.judge(host, generation, progress) else {
            return;
        };
        self.hosts.lower(host, SILENT);
        if shows_change(progress) {
            self.hosts.raise(host, CHANGED);
        }
        let (cause, detail) = told(progress);
        if !detail.is_empty() || !matches!(cause, Cause::None) {
            self.hosts.set_detail(host, detail);
        }
        let kept = if matches!(cause, Cause::None) { self.hosts.cause(host) } else { cause };
        match step {
            Move::To(phase) if phase.is_unresolved() || phase == Phase::TakenBack => self.set_phase(host, phase, kept, at, changes),
            Move::To(phase) => self.set_phase(host, phase, Cause::None, at, changes),
            Move::Charge(phase) => {
                self.charge(host);
                self.set_phase(host, phase, kept, at, changes);
            }
            Move::Refused if matches!(cause, Cause::Refused(RefusalReason::AlreadyAtTarget)) => {
                self.set_phase(host, Phase::UpToDate, cause, at, changes);
            }
            Move::Refused => self.set_phase(host, Phase::Refused, cause, at, changes),
            Move::Again => {
                self.hosts.set_tries(host, self.hosts.tries(host).saturating_add(1));
                self.set_phase(host, Phase::Pending, cause, at, changes);
            }
            Move::NotStaged(reason) => {
                self.set_phase(host, Phase::Pending, cause, at, changes);
                self.set_not_staged(host, reason, detail, at, changes);
            }
            Move::TakeBackAgain => {
                self.hosts.lower(host, TAKE_BACK);
                self.set_phase(host, Phase::Harmed, kept, at, changes);
            }
        }
        if self.hosts.phase(host) == Phase::TakenBack {
            self.hosts.lower(host, TAKE_BACK);
        }
    }
}

/// The order to take back is on its way, and the host speaks of what it had before: only what it does about that counts.
fn judge_applied(phase: Phase, progress: &Progress) -> Result<Move, Rejected> {
    match (progress, phase) {
        (Progress::TakingBack, Phase::Harmed) => Ok(Move::To(Phase::TakingBack)),
        (Progress::TakenBack, Phase::Harmed | Phase::TakingBack | Phase::NeedsAttention) => Ok(Move::To(Phase::TakenBack)),
        (Progress::NeedsAttention { .. }, Phase::Harmed | Phase::TakingBack) => Ok(Move::To(Phase::NeedsAttention)),
        _ => Err(Rejected::NoNews),
    }
}

/// A report that repeats what is known is no news; any other that does not fit is a fault of the agent.
fn not_from(phase: Phase, progress: &Progress) -> Result<Move, Rejected> {
    let (action, told) = match progress {
        Progress::Accepted => ("accepting", Phase::Accepted),
        Progress::Refused { .. } => ("refusing", Phase::Refused),
        Progress::Applying | Progress::Begun => ("beginning", Phase::Applying),
        Progress::Verifying => ("verifying", Phase::Verifying),
        Progress::Healthy => ("proving healthy", Phase::Healthy),
        Progress::Harmed { .. } => ("reporting harm", Phase::Harmed),
        Progress::TakingBack => ("taking back", Phase::TakingBack),
        Progress::TakenBack => ("having taken back", Phase::TakenBack),
        Progress::NeedsAttention { .. } => ("asking for a person", Phase::NeedsAttention),
    };
    // Phases are in the order in which a host goes through them, so an earlier report is an old one, sent again.
    if told <= phase { Err(Rejected::NoNews) } else { Err(Rejected::WrongPhase { action, phase }) }
}

fn refusal(reason: RefusalReason, tries: u8) -> Move {
    match reason {
        RefusalReason::NotStaged => Move::NotStaged(NotStagedReason::Other),
        RefusalReason::DiskFull => Move::NotStaged(NotStagedReason::DiskFull),
        reason if may_pass(reason) && tries < MAX_RELEASE_TRIES => Move::Again,
        _ => Move::Refused,
    }
}

/// Reasons that are about a moment, not about the host or the patch. A local hold is a person's word and lasts.
fn may_pass(reason: RefusalReason) -> bool {
    use RefusalReason::{Busy, ClockOff, LockHeld, NoLease, OldGeneration, Withdrawn};
    matches!(reason, Busy | ClockOff | LockHeld | NoLease | OldGeneration | Withdrawn)
}

fn shows_change(progress: &Progress) -> bool {
    matches!(
        progress,
        Progress::Begun
            | Progress::Verifying
            | Progress::Healthy
            | Progress::Harmed { .. }
            | Progress::TakingBack
            | Progress::TakenBack
            | Progress::NeedsAttention { .. }
    )
}

fn told(progress: &Progress) -> (Cause, &str) {
    match progress {
        Progress::Refused { reason, detail } => (Cause::Refused(*reason), detail),
        Progress::Harmed { reason, detail } => (Cause::Harmed(*reason), detail),
        Progress::NeedsAttention { detail } => (Cause::None, detail),
        _ => (Cause::None, ""),
    }
}
