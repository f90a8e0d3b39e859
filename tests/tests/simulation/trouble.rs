//! What goes wrong, and when it is over.

use patchwave::store::simulated::CommitFate;

use crate::world::{Event, World};

const MINUTE_MS: u64 = 60_000;

impl World {
    /// One trouble, and the next one later.
    pub fn trouble(&mut self) {
        if self.is_calm {
            return;
        }
        let next = self.choices.between(1, 2 * self.setting.trouble_every_ms);
        self.later(next, Event::Trouble);
        let host = self.choices.index(self.hosts.len());
        match self.choices.below(22) {
            0..=2 => self.cut_for_a_while(host),
            3 => self.cut_site(),
            4 | 5 => self.break_stream(host),
            6 => self.kill_agent(host),
            7 | 8 => self.kill_agent_soon(host),
            9 | 10 => self.reboot(host),
            11 => self.die(),
            12 | 13 => self.die_at_commit(),
            14 => self.fail_commit(),
            15 => self.set_clock(host),
            16 => self.other_hands(host),
            17 => self.hold(host),
            18 => self.fill_disk(host),
            19 => self.kill_transaction(host),
            20 => self.set_controller_clock(),
            _ => self.lock(host),
        }
    }

    fn cut_for_a_while(&mut self, host: usize) {
        self.witness.seen("cut off");
        self.cut(host);
        let pause = self.choices.of(&[1, 5, 20, 90]) * MINUTE_MS;
        self.later(pause, Event::Mend { host });
    }

    /// A site's uplink: every second host, all at once.
    fn cut_site(&mut self) {
        self.witness.seen("site cut off");
        let pause = self.choices.between(1, 40) * MINUTE_MS;
        for host in (0..self.hosts.len()).step_by(2) {
            self.cut(host);
            self.later(pause, Event::Mend { host });
        }
    }

    fn break_stream(&mut self, host: usize) {
        if let Some(stream) = self.hosts[host].agent.as_ref().and_then(|agent| agent.stream) {
            self.witness.seen("stream broken");
            self.lose_stream(stream);
        }
    }

    fn kill_agent_soon(&mut self, host: usize) {
        let actions = self.choices.below(12);
        if let Some(agent) = self.hosts[host].agent.as_mut() {
            agent.dies_after = Some(actions);
        }
    }

    fn reboot(&mut self, host: usize) {
        if !self.hosts[host].is_on {
            return;
        }
        self.witness.seen("rebooted");
        self.power_off(host);
        let pause = if self.choices.one_in(5) { self.choices.between(30, 180) * MINUTE_MS } else { self.choices.between(20_000, 200_000) };
        self.later(pause, Event::Boot { host });
    }

    pub fn power_off(&mut self, host: usize) {
        self.hosts[host].is_on = false;
        self.kill_agent(host);
        self.hosts[host].packages.lose_processes();
    }

    pub fn boot(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if !it.is_on {
            it.is_on = true;
            it.boot += 1;
            it.booted_ms = self.now_ms;
            self.later(5_000, Event::StartAgent { host });
        }
    }

    fn die(&mut self) {
        self.witness.seen("controller killed");
        self.kill_controller();
    }

    fn die_at_commit(&mut self) {
        let after = self.choices.one_in(2);
        self.witness.seen(if after { "controller dies after a commit" } else { "controller dies before a commit" });
        self.controller.switch.die_at_commit(after);
    }

    fn fail_commit(&mut self) {
        let fate = self.choices.of(&[CommitFate::Full, CommitFate::Fails, CommitFate::FailsAndIsThere]);
        self.witness.seen(match fate {
            CommitFate::Full => "disk full",
            CommitFate::Fails => "sync failed",
            _ => "sync failed and it was there",
        });
        self.controller.switch.arm(fate);
        // Somebody looks after a controller whose disk failed.
        let pause = self.choices.between(1, 10) * MINUTE_MS;
        self.later(pause, Event::KillController);
    }

    /// The process is gone at once; what it had put on the wire arrives.
    pub fn kill_controller(&mut self) {
        if self.controller.process.take().is_some() {
            self.without_controller();
        }
    }

    /// It died by itself; what it had said before may have been sent or not.
    pub fn controller_died(&mut self) {
        self.witness.seen("controller died at a commit");
        if self.choices.one_in(2) {
            self.after_controller();
        }
        self.controller.process = None;
        self.without_controller();
    }

    fn without_controller(&mut self) {
        let streams: Vec<u64> = self.network.streams.keys().copied().collect();
        for stream in streams {
            self.lose_stream(stream);
        }
        let pause = if self.choices.one_in(4) { self.choices.between(1, 15) * MINUTE_MS } else { self.choices.between(1_000, 20_000) };
        self.later(pause, Event::StartController);
    }

    pub fn start_controller(&mut self) {
        if self.controller.is_up() {
            return;
        }
        if self.controller.start() {
            self.wake_controller(1);
        } else {
            self.later(10_000, Event::StartController);
        }
    }

    fn set_clock(&mut self, host: usize) {
        self.witness.seen("host's clock wrong");
        let wrong_ms = i64::try_from(self.choices.of(&[1, 10, 60]) * MINUTE_MS).unwrap();
        self.hosts[host].wrong_by_ms = if self.choices.one_in(2) { wrong_ms } else { -wrong_ms };
        let pause = self.choices.between(1, 60) * MINUTE_MS;
        self.later(pause, Event::RightClock { host });
    }

    fn set_controller_clock(&mut self) {
        self.witness.seen("controller's clock wrong");
        // Mostly a little; once in a while by hours, as when a virtual machine wakes.
        let most_ms = if self.choices.one_in(4) { 300 * MINUTE_MS } else { 2 * MINUTE_MS };
        let wrong_ms = i64::try_from(self.choices.between(0, 2 * most_ms)).unwrap();
        self.controller.clock.set_wrong_by(i64::try_from(most_ms).unwrap() - wrong_ms);
    }

    /// Somebody else upgrades a package, when the lock is free.
    fn other_hands(&mut self, host: usize) {
        let now = self.now_ms;
        let packages = &mut self.hosts[host].packages;
        if packages.is_locked(now) || packages.half {
            return;
        }
        self.witness.seen("other hands");
        packages.touched = true;
        packages.versions.insert("alpha".to_owned(), "2".to_owned());
    }

    fn hold(&mut self, host: usize) {
        self.witness.seen("hold");
        self.hosts[host].hold = Some("a demonstration".to_owned());
        let pause = self.choices.between(1, 40) * MINUTE_MS;
        self.later(pause, Event::Unhold { host });
    }

    fn fill_disk(&mut self, host: usize) {
        self.hosts[host].is_full = true;
        let pause = self.choices.between(1, 20) * MINUTE_MS;
        self.later(pause, Event::Room { host });
    }

    fn kill_transaction(&mut self, host: usize) {
        let packages = &mut self.hosts[host].packages;
        if packages.running().is_some() {
            packages.lose_processes();
            self.witness.seen("transaction killed");
            self.tell_followers(host);
        }
    }

    fn lock(&mut self, host: usize) {
        self.witness.seen("lock held");
        self.hosts[host].packages.locked_until_ms = self.now_ms + self.choices.between(1, 15) * MINUTE_MS;
    }
}
