//! The end of every life: nothing more goes wrong, what was broken is mended, humans answer. Then everything must come to an end.

use patchwave::conductor::is_ended;
use patchwave::rollout::RolloutState;
use patchwave::store::MAX_PAGE;

use crate::world::{Event, World};

const LOOK_EVERY_MS: u64 = 5 * 60_000;

impl World {
    pub fn calm(&mut self) {
        self.is_calm = true;
        self.setting.fails_one_in = 0;
        self.setting.noise_one_in = 0;
        self.controller.switch.disarm();
        // A store whose disk failed writes again after a restart only.
        self.kill_controller();
        self.controller.clock.set_wrong_by(0);
        self.later(1_000, Event::StartController);
        for host in 0..self.hosts.len() {
            self.mend(host);
            let it = &mut self.hosts[host];
            it.hold = None;
            it.is_full = false;
            it.wrong_by_ms = 0;
            it.packages.locked_until_ms = 0;
            if let Some(agent) = it.agent.as_mut() {
                agent.dies_after = None;
            }
            self.boot(host);
        }
        self.later(2_000, Event::Look);
    }

    pub fn look_at_the_end(&mut self) {
        if self.controller.is_up() {
            if self.witness.halted_ms.is_some() || self.is_halted() {
                self.halt(false);
            }
            self.attend();
            if self.has_ended() {
                self.check_ends();
                self.is_over = true;
                return;
            }
        }
        self.later(LOOK_EVERY_MS, Event::Look);
    }

    fn is_halted(&self) -> bool {
        let store = self.controller.process.as_ref().map(|process| process.store.store());
        store.is_some_and(|store| store.halt().unwrap().is_some_and(|halt| halt.on))
    }

    fn has_ended(&self) -> bool {
        let ended = self.witness.rollouts().all(|rollout| {
            let loud = rollout.state() == RolloutState::NeedsAttention;
            is_ended(rollout.state()) && (rollout.is_settled() || loud)
        });
        let here = self.network.streams.len() >= self.hosts.len();
        ended && here && (0..self.hosts.len()).all(|host| self.is_done(host))
    }

    /// For the message of a life that does not end.
    pub fn what_is_left(&self) -> String {
        let mut left = String::new();
        for rollout in self.witness.rollouts() {
            left += &format!("{} is {:?}, settled: {}; ", rollout.id(), rollout.state(), rollout.is_settled());
        }
        for (number, host) in self.hosts.iter().enumerate().filter(|(number, _)| !self.is_done(*number)) {
            left += &format!("host {number} is {:?}; ", host.agent.as_ref().map(|agent| agent.machine.state()));
        }
        let claims = self.controller.process.as_ref().map(|process| process.store.store().claims(None, MAX_PAGE));
        format!("{left} claims: {claims:?}")
    }
}
