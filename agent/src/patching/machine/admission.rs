//! Orders: fencing by generation, at most one directive, and what can be refused without asking the package manager.

use std::time::Duration;

use patchwave_common::domain::policy::KEEP_ORIGINALS_DEFAULT;
use patchwave_common::domain::{
    ApplyOrder, Directive, DirectiveProgress, Feature, Generation, Order, RefusalReason, TakeBackOrder, TargetSet,
};

use super::Machine;
use super::case::{Apply, Attempts, Case};
use super::facts::Refusal;
use super::input::Action;
use super::record::{BackOrder, End, History, Record};
use super::state::{Begun, Pending, State};

/// A clock further off than this gets no directive (rule 28): certificates and windows are judged by it.
const CLOCK_OFF_MS: u64 = 5 * 60 * 1000;

impl Machine {
    pub(super) fn directive(&mut self, directive: &Directive, case: Option<Case>) {
        let generation = directive.generation;
        if self.history.as_ref().is_some_and(|history| history.generation == generation) {
            self.answer(generation);
            return;
        }
        if let Some(newest) = self.fence.newest.filter(|newest| generation < *newest) {
            let detail = format!("generation {generation} is older than {newest}, the newest that this host has seen");
            let refusal = Refusal::new(RefusalReason::OldGeneration, detail);
            self.report_about(generation, &directive.rollout, Self::refused(&refusal));
            return;
        }
        if self.fence.newest != Some(generation) {
            self.fence.newest = Some(generation);
            self.fence.rollout = Some(directive.rollout.clone());
            self.actions.push(Action::SaveFence(self.fence.clone()));
        }
        let is_about_present = |order: &Order| match order {
            Order::TakeBack(order) => self.state.apply().is_some_and(|apply| apply.generation == order.of),
            Order::Apply(_) => false,
        };
        if !is_about_present(&directive.order) {
            self.withdraw_for_newer();
        }
        if let Some(refusal) = missing_feature(&directive.requires).or_else(|| self.is_blocked()) {
            self.refuse_at_the_door(directive, &refusal);
            return;
        }
        match &directive.order {
            Order::Apply(order) => self.admit_apply(directive, order),
            Order::TakeBack(order) => self.admit_take_back(directive, order, case),
        }
    }

    fn is_blocked(&self) -> Option<Refusal> {
        match &self.state {
            State::Blocked(blocked) => Some(Refusal::new(RefusalReason::Busy, blocked.detail.clone())),
            _ => None,
        }
    }

    /// Refuses an order that no case is opened for. While another directive is carried out, that one's history stays.
    fn refuse_at_the_door(&mut self, directive: &Directive, refusal: &Refusal) {
        if matches!(self.state, State::Idle) {
            self.history = Some(History::new(directive.generation, directive.rollout.clone()));
            self.report(Self::refused(refusal));
            self.save_answer();
        } else {
            self.report_about(directive.generation, &directive.rollout, Self::refused(refusal));
        }
    }

    fn admit_apply(&mut self, directive: &Directive, order: &ApplyOrder) {
        if let Some(refusal) = self.refuse_apply(order).or_else(|| self.make_room()) {
            self.refuse_at_the_door(directive, &refusal);
            return;
        }
        self.history = Some(History::new(directive.generation, directive.rollout.clone()));
        let apply = Apply { generation: directive.generation, rollout: directive.rollout.clone(), order: order.clone() };
        let accepted = Record::Accepted { directive: directive.clone(), at: self.now.wall };
        self.record(directive.generation, accepted);
        self.report(DirectiveProgress::Accepted);
        self.state = self.examine(Pending { apply, attempts: Attempts::default(), tries: 0 });
    }

    fn refuse_apply(&self, order: &ApplyOrder) -> Option<Refusal> {
        self.hold_refusal().or_else(|| self.clock_refusal()).or_else(|| self.quarantine_refusal(&order.targets))
    }

    /// A directive that has not begun gives way to any newer order, whatever becomes of that one: it is older than the newest seen.
    fn withdraw_for_newer(&mut self) {
        if let Some(pending) = self.state.pending().cloned() {
            let refusal = Refusal::new(RefusalReason::Withdrawn, "a newer order came before it began");
            self.state = self.refuse(&pending, &refusal);
        }
    }

    /// Whether a newer order was seen while this one seemed to have begun, or just before the agent ended.
    pub(super) fn overtaken(&self, pending: &Pending) -> Option<Refusal> {
        let newer = self.fence.newest.is_some_and(|newest| newest > pending.apply.generation);
        newer.then(|| Refusal::new(RefusalReason::Withdrawn, "a newer order came before it began"))
    }

    /// A directive that proved healthy is concluded by a newer one: the controller gives a host a new directive only when it is done with
    /// the old one. Anything else is finished first.
    fn make_room(&mut self) -> Option<Refusal> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => None,
            State::Watching(watching) => {
                self.state = self.conclude(watching.begun.apply.generation, KEEP_ORIGINALS_DEFAULT);
                None
            }
            other => {
                let generation = other.apply().map_or_else(String::new, |apply| apply.generation.to_string());
                let detail = format!("directive {generation} is {}; it is finished first", other.name());
                self.state = other;
                Some(Refusal::new(RefusalReason::Busy, detail))
            }
        }
    }

    fn clock_refusal(&self) -> Option<Refusal> {
        let hint = "(hint: `timedatectl` shows whether time is synchronised)";
        let detail = match self.clock_offset_ms() {
            Some(offset_ms) if offset_ms.unsigned_abs() <= CLOCK_OFF_MS => return None,
            Some(offset_ms) => {
                let off = patchwave_common::domain::show_duration(Duration::from_millis(offset_ms.unsigned_abs()));
                format!("the clock is {off} {} the controller's {hint}", if offset_ms > 0 { "behind" } else { "ahead of" })
            }
            None => "the controller has not told its time yet, so the clock cannot be judged".to_owned(),
        };
        Some(Refusal::new(RefusalReason::ClockOff, detail))
    }

    /// How far the controller's clock is ahead of this host's by now: as at the welcome, and this host's may have been set since.
    fn clock_offset_ms(&self) -> Option<i64> {
        let (offset_ms, then_ms) = self.clock_at_welcome?;
        Some(offset_ms.saturating_sub(self.civil_ahead_of_boot_ms().saturating_sub(then_ms)))
    }

    pub(super) fn civil_ahead_of_boot_ms(&self) -> i64 {
        self.now.wall.0.saturating_sub(i64::try_from(self.now.boottime_ms).unwrap_or(i64::MAX))
    }

    /// Rule 13 on the host: a version in quarantine is neither staged nor applied, whatever the order says.
    #[must_use]
    pub fn quarantine_refusal(&self, targets: &TargetSet) -> Option<Refusal> {
        let manager = targets.manager;
        let hit = targets.targets.iter().find(|target| {
            self.quarantine.iter().any(|key| {
                (key.manager, &key.origin, &key.source) == (manager, &target.origin, &target.source)
                    && (&key.version, &key.architecture) == (&target.to, &target.id.architecture)
            })
        })?;
        let detail = format!("{} {} is in quarantine (hint: `patchwave quarantine list`)", hit.id, hit.to);
        Some(Refusal::new(RefusalReason::Quarantined, detail))
    }

    fn admit_take_back(&mut self, directive: &Directive, order: &TakeBackOrder, stored: Option<Case>) {
        let back = BackOrder { generation: directive.generation, rollout: directive.rollout.clone(), health: order.health.clone() };
        if self.state.apply().is_some_and(|apply| apply.generation == order.of) {
            self.take_back_present(back);
            return;
        }
        let Some(case) = stored.filter(|case| case.apply.generation == order.of) else {
            let detail = format!("this host has no receipt of directive {}", order.of);
            self.refuse_at_the_door(directive, &Refusal::new(RefusalReason::NoReceipt, detail));
            return;
        };
        if let Some(refusal) = self.make_room() {
            self.refuse_at_the_door(directive, &refusal);
            return;
        }
        self.open_back(order.of, &back);
        let mut case = case;
        case.order_back(back);
        self.state = self.open_return(case);
    }

    /// The order is about the case at hand: before it began, nothing is to be taken back; in a transaction, that one ends first.
    fn take_back_present(&mut self, back: BackOrder) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        if let Some(pending) = state.pending() {
            let case = pending.apply.generation;
            let withdrawn = Refusal::new(RefusalReason::Withdrawn, "the way back was ordered before it began");
            self.report(Self::refused(&withdrawn));
            self.open_back(case, &back);
            self.state = self.end(case, End::TakenBack);
            return;
        }
        if let Some(begun) = state.begun() {
            self.open_back(begun.apply.generation, &back);
        }
        self.state = match state {
            State::Applying(mut state) => {
                state.begun.back = Some(back);
                State::Applying(state)
            }
            State::Repairing(mut state) => {
                state.begun.back = Some(back);
                State::Repairing(state)
            }
            State::Comparing(mut state) => {
                state.begun.back = Some(back);
                State::Comparing(state)
            }
            State::Verifying(state) => self.approach(Begun { back: Some(back), ..state.begun }),
            State::Watching(state) => self.approach(Begun { back: Some(back), ..state.begun }),
            State::Harmed(state) => self.approach(Begun { back: Some(back), ..state.begun }),
            other => self.already_on_the_way(other, back),
        };
    }

    /// The host takes itself back already: it goes on, and reports under the order from here on.
    fn already_on_the_way(&mut self, state: State, back: BackOrder) -> State {
        let back = Some(back);
        let state = match state {
            State::HeldBack(mut state) => {
                state.begun.back = back;
                return State::HeldBack(state);
            }
            State::Approaching(mut state) => {
                state.begun.back = back;
                State::Approaching(state)
            }
            State::Returning(mut state) => {
                state.begun.back = back;
                State::Returning(state)
            }
            State::Pausing(mut state) => {
                state.begun.back = back;
                State::Pausing(state)
            }
            State::Recovering(mut state) => {
                state.begun.back = back;
                State::Recovering(state)
            }
            other => other,
        };
        self.report(DirectiveProgress::TakingBack);
        state
    }

    /// From here on the case reports under the order to take it back.
    fn open_back(&mut self, case: Generation, back: &BackOrder) {
        self.record(case, Record::TakeBackOrdered { back: back.clone() });
        self.history = Some(History::new(back.generation, back.rollout.clone()));
        self.report(DirectiveProgress::Accepted);
    }

    pub(super) fn withdrawn(&mut self, generation: Generation) {
        match self.state.pending().filter(|pending| pending.apply.generation == generation).cloned() {
            Some(pending) => {
                let refusal = Refusal::new(RefusalReason::Withdrawn, "the controller withdrew it before it began");
                self.state = self.refuse(&pending, &refusal);
            }
            None => self.answer(generation),
        }
    }

    /// Says again where that directive stands, if it is the present one: the controller saw it otherwise.
    fn answer(&mut self, generation: Generation) {
        let Some(history) = self.history.clone().filter(|history| history.generation == generation) else { return };
        if matches!(self.state, State::AwaitingLease(_)) {
            // Saying where it stands is asking, and is counted as such.
            self.ask_again();
            return;
        }
        if let Some(progress) = history.current() {
            self.report_about(generation, &history.rollout, progress.clone());
        }
    }

    pub(super) fn concluded(&mut self, generation: Generation, keep: Duration, stored: Option<Case>) {
        let is_meant =
            |begun: &Begun| begun.apply.generation == generation || begun.back.as_ref().is_some_and(|back| back.generation == generation);
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Verifying(state) if is_meant(&state.begun) => self.state = self.conclude(state.begun.apply.generation, keep),
            State::Watching(state) if is_meant(&state.begun) => self.state = self.conclude(state.begun.apply.generation, keep),
            State::Harmed(state) if is_meant(&state.begun) => self.state = self.conclude(state.begun.apply.generation, keep),
            state => {
                self.state = state;
                if stored.as_ref().is_some_and(|case| case.concluded.is_some()) {
                    // Done already; an answer would be answered.
                    return;
                }
                let ended = stored.filter(|case| case.is_ended() && case.concluded.is_none());
                match ended {
                    Some(case) if self.state.apply().is_none_or(|apply| apply.generation != case.apply.generation) => {
                        self.record(case.apply.generation, Record::Concluded { at: self.now.wall, keep });
                    }
                    _ => self.answer(generation),
                }
            }
        }
    }

    fn conclude(&mut self, case: Generation, keep: Duration) -> State {
        self.record(case, Record::Finished { end: End::Concluded });
        self.record(case, Record::Concluded { at: self.now.wall, keep });
        self.save_answer();
        State::Idle
    }
}

fn missing_feature(requires: &[Feature]) -> Option<Refusal> {
    let missing = requires.iter().find(|feature| !Feature::ALL.contains(&feature.0.as_str()))?;
    let name = patchwave_common::domain::clean_text(&missing.0, 60);
    let detail = format!("this agent does not know the feature {name} (hint: upgrade patchwave-agent on this host)");
    Some(Refusal::new(RefusalReason::UnsupportedFeature, detail))
}
