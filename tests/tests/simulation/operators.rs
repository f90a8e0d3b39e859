//! Operators: they plan, start, pause, halt, abort, take back, let competing rollouts loose, and restore a backup.

use patchwave::conductor::{Act, PlanAsk, PlanAskKind};
use patchwave::records::{Actor, HaltRecord, Lift};
use patchwave::rollout::RolloutState;
use patchwave::rollout::planner::UpdateRequest;
use patchwave::store::backup::{backup, refill};
use patchwave::store::simulated::SimulatedDisk;
use patchwave::store::{Change, MAX_PAGE, Write};
use patchwave_agent::session::protocol::Event as Told;
use patchwave_common::domain::{OperatorName, RolloutId, Selector, Timestamp};

use crate::controller::at_once;
use crate::witness::rollout_id;
use crate::world::{Event, World};

const MINUTE_MS: u64 = 60_000;
/// Rollouts of one life: enough to compete, few enough to end.
const MAX_ROLLOUTS: u32 = 5;

fn alice() -> OperatorName {
    OperatorName::parse("alice").unwrap()
}

impl World {
    /// An operator does something, and something else later.
    pub fn operator(&mut self) {
        if self.is_calm {
            return;
        }
        let next = if self.rollouts == 0 { 30_000 } else { self.choices.between(1, 30) * MINUTE_MS };
        self.later(next, Event::Operator);
        if !self.controller.is_up() {
            return;
        }
        if self.rollouts == 0 {
            self.plan_and_start(PlanAskKind::Apply, "alpha");
            return;
        }
        let number = u32::try_from(self.choices.between(1, u64::from(self.rollouts))).unwrap();
        let rollout = rollout_id(number);
        match self.choices.below(20) {
            0..=2 => self.another(rollout),
            3 | 4 => self.order("pause", rollout, |by, _| Act::Pause(by, "lunch".to_owned())),
            5..=9 => self.resume(rollout),
            10 if self.choices.one_in(3) => self.order("abort", rollout, |by, _| Act::Abort(by, "enough".to_owned())),
            11 => self.report_harm(rollout),
            12 | 13 => self.halt(self.witness.halted_ms.is_none()),
            14 => self.halt(false),
            15 | 16 => self.back_up(),
            17 if self.choices.one_in(4) => self.restore(),
            18 => self.lift_quarantine(),
            19 if self.choices.one_in(3) => self.publish(),
            _ => {}
        }
    }

    /// The archive has a newer version, as it does while people are still busy with the last one.
    fn publish(&mut self) {
        self.witness.seen("published");
        self.archive.insert("alpha".to_owned(), "3".to_owned());
        for host in 0..self.hosts.len() {
            self.told(host, Told::CandidatesChanged);
        }
    }

    fn another(&mut self, of: RolloutId) {
        if self.rollouts >= MAX_ROLLOUTS {
            return;
        }
        let (kind, package) = match self.choices.below(6) {
            0 => (PlanAskKind::Reverse(of), "alpha"),
            1 => (PlanAskKind::Successor(of), "alpha"),
            2 | 3 => (PlanAskKind::Apply, "alpha"),
            _ => (PlanAskKind::Apply, "beta"),
        };
        self.plan_and_start(kind, package);
    }

    /// `true` where there is a new rollout.
    pub fn plan_and_start(&mut self, kind: PlanAskKind, package: &str) {
        let id = rollout_id(self.rollouts + 1);
        let ask = PlanAsk {
            id: id.clone(),
            by: alice(),
            policy: self.setting.policy.clone(),
            policy_revision: 1,
            selector: Selector::default(),
            updates: vec![package.parse::<UpdateRequest>().unwrap()],
            kind: kind.clone(),
        };
        let planned = self.with_controller(|process| {
            let conductor = process.conductor.clone();
            process.ask(conductor.plan(ask))
        });
        // Where the controller died or its disk failed, the plan may be there or not.
        if !matches!(planned, Some(Err(patchwave::conductor::PlanRefused::Plan(_) | patchwave::conductor::PlanRefused::Nothing(_)))) {
            self.rollouts += 1;
        }
        if matches!(planned, Some(Ok(_))) {
            self.witness.seen(match kind {
                PlanAskKind::Apply => "planned",
                PlanAskKind::Reverse(_) => "planned in reverse",
                PlanAskKind::Successor(_) => "planned a successor",
            });
            self.order("start", id, |by, _| Act::Start(by));
        }
    }

    fn order(&mut self, what: &str, rollout: RolloutId, act: impl FnOnce(OperatorName, &Self) -> Act) {
        let act = act(alice(), self);
        let done = self.with_controller(|process| {
            let conductor = process.conductor.clone();
            process.ask(conductor.act(rollout, act))
        });
        if matches!(done, Some(Ok(()))) {
            self.witness.seen(what);
        }
    }

    pub fn resume(&mut self, rollout: RolloutId) {
        self.order("resume", rollout, |by, _| Act::Resume(by, "seen and accepted".to_owned()));
    }

    fn report_harm(&mut self, rollout: RolloutId) {
        let host = self.choices.index(self.hosts.len());
        self.order("harm reported", rollout, |by, world| Act::ReportHarm(by, world.hosts[host].id.clone(), "slow".to_owned()));
    }

    /// The halt is said to be on when the operator has the answer.
    pub fn halt(&mut self, on: bool) {
        let record = HaltRecord { on, by: Actor::Operator(alice()), reason: "sure".to_owned(), at: Timestamp(0) };
        if !on {
            // Whether the answer comes or not: from now on something may begin.
            self.witness.halted_ms = None;
        }
        let told = self.with_controller(|process| {
            at_once(process.store.write(Write::new(vec![Change::SetHalt(record)]))).ok()?;
            let conductor = process.conductor.clone();
            process.ask(conductor.fleet_rules_changed());
            Some(())
        });
        if on && told.flatten().is_some() {
            self.witness.halted_ms = Some(self.witness.halted_ms.unwrap_or(self.now_ms));
            self.witness.seen("halt");
        }
    }

    fn lift_quarantine(&mut self) {
        let lifted = self.with_controller(|process| {
            let records = process.store.store().quarantine(None, MAX_PAGE).ok()?;
            let record = records.into_iter().find(|record| record.lifted.is_none())?;
            let lift = Lift { by: Actor::Operator(alice()), reason: "mended".to_owned(), at: Timestamp(0) };
            at_once(process.store.write(Write::new(vec![Change::LiftQuarantine { key: record.key, lift }]))).ok()?;
            let conductor = process.conductor.clone();
            process.ask(conductor.fleet_rules_changed());
            Some(())
        });
        if lifted.flatten().is_some() {
            self.witness.seen("quarantine lifted");
        }
    }

    fn back_up(&mut self) {
        let Some(process) = self.controller.process.as_ref() else { return };
        let mut bytes = Vec::new();
        backup(process.store.store().as_ref(), &[], Timestamp(0), &mut bytes).unwrap();
        self.backup = Some(bytes);
    }

    /// The machine is lost; a new one gets the backup.
    fn restore(&mut self) {
        let Some(bytes) = self.backup.clone() else { return };
        self.kill_controller();
        self.controller.switch.disarm();
        let disk = SimulatedDisk::new(self.controller.switch.clone());
        let store = disk.open().unwrap();
        refill(&mut bytes.as_slice(), store.as_ref()).unwrap();
        self.witness.restored(self.now_ms);
        // The halt of that day is in force again, or none.
        self.witness.halted_ms = store.halt().unwrap().filter(|halt| halt.on).map(|_| self.now_ms);
        self.controller.disk = disk;
    }

    /// Everybody answers what waits for a human, until nothing does.
    pub fn attend(&mut self) {
        let states: Vec<(RolloutId, RolloutState, bool)> =
            self.witness.rollouts().map(|rollout| (rollout.id().clone(), rollout.state(), rollout.is_settled())).collect();
        for (id, state, is_settled) in states {
            match state {
                // What pauses again and again (its version is in quarantine, say) is given up in the end.
                RolloutState::Paused if self.patience > 0 => {
                    self.patience -= 1;
                    self.resume(id);
                }
                RolloutState::Paused => self.order("abort", id, |by, _| Act::Abort(by, "it does not get on".to_owned())),
                RolloutState::Planned | RolloutState::Approved => self.order("start", id, |by, _| Act::Start(by)),
                RolloutState::NeedsAttention if !is_settled && self.rollouts < 2 * MAX_ROLLOUTS => {
                    self.plan_and_start(PlanAskKind::Reverse(id), "alpha");
                }
                _ => {}
            }
        }
    }

    pub fn with_controller<T>(&mut self, act: impl FnOnce(&mut crate::controller::Process) -> T) -> Option<T> {
        let is_up = self.controller.is_up();
        let answer = self.controller.with(act);
        if answer.is_none() && is_up {
            self.controller_died();
        } else {
            self.after_controller();
            self.wake_controller(1);
        }
        answer
    }
}
