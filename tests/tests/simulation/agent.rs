//! The driver around an agent's cores: carries the machine's actions out, answers its questions from the host's truth, and hands the
//! protocol's messages to the network.

use std::collections::VecDeque;

use patchwave_agent::patching::machine::{
    Action, Apply, CheckOutcome, Comparison, End, Examination, Fact, Input, JobId, LeaseDeadline, NotBegun, Purpose, Record, Refusal,
    Round, State, TransactionName, TransactionOutcome,
};
use patchwave_agent::session::protocol::{Command, Event as Told, Instruction};
use patchwave_common::domain::{CheckName, DirectiveProgress, Generation, Order, QuarantineKey, RefusalReason, StageResult};

use crate::packages::{Followed, Transaction, wanted};
use crate::world::{Event, World};

/// What the driver is asked; answered after a while, from how things stand then.
#[derive(Debug, Clone)]
pub enum Question {
    Examine(Box<Apply>),
    WriteReceipt(Generation),
    Checks,
    Confirm(Generation),
    Compare(Box<Apply>, Generation),
    /// The agent's own doings beside the machine.
    Staged(patchwave_common::domain::RolloutId),
}

impl World {
    /// The agent's service starts, after a boot or a crash.
    pub fn start_agent(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if !it.is_on || it.agent.is_some() {
            return;
        }
        let first = it.start_agent(self.now_ms);
        self.perform(host, first);
        self.told(host, Told::InventoryChanged(None));
        self.told(host, Told::CandidatesChanged);
        self.dial_later(host, 2_000);
        self.note_due(host);
    }

    /// The agent's process is killed: what it was about is forgotten; its stream breaks.
    pub fn kill_agent(&mut self, host: usize) {
        if let Some(agent) = self.hosts[host].agent.take() {
            self.witness.seen("agent killed");
            if let Some(stream) = agent.stream {
                self.lose_stream(stream);
            }
            let pause = self.choices.between(1_000, 120_000);
            self.later(pause, Event::StartAgent { host });
        }
    }

    /// One input, with the hold looked at first, and everything that the machine wants done for it.
    pub fn input(&mut self, host: usize, input: Input) {
        let hold = self.hosts[host].hold.clone();
        let mut inputs = VecDeque::from([input]);
        if self.hosts[host].agent.as_ref().is_some_and(|agent| agent.machine.hold() != hold.as_deref()) {
            inputs.push_front(Input::Hold(hold));
        }
        while let Some(input) = inputs.pop_front() {
            let it = &mut self.hosts[host];
            let moment = it.moment(self.now_ms);
            let Some(agent) = it.agent.as_mut() else { return };
            let older = match &input {
                Input::Directive { directive, .. } => agent.machine.newest_generation().filter(|newest| directive.generation < *newest),
                _ => None,
            };
            let actions = agent.machine.step(&moment, input);
            if older.is_some() {
                let only_reports = actions.iter().all(|action| matches!(action, Action::Report { .. }));
                assert!(only_reports, "AN OLDER GENERATION IS REFUSED: {} {actions:?}", it.id);
                self.witness.seen("older generation refused");
            }
            if let Some(failed) = self.perform(host, actions) {
                inputs.push_front(failed);
            }
        }
        self.note_due(host);
    }

    /// Does the actions in order; the agent may die between any two.
    pub fn perform(&mut self, host: usize, actions: Vec<Action>) -> Option<Input> {
        for action in actions {
            let agent = self.hosts[host].agent.as_mut()?;
            if let Some(left) = agent.dies_after.as_mut() {
                if *left == 0 {
                    self.kill_agent(host);
                    return None;
                }
                *left -= 1;
            }
            match action {
                Action::Record { case, record } => {
                    let begins = matches!(*record, Record::Accepted { .. } | Record::Begun { .. });
                    let refuses = matches!(*record, Record::Finished { end: End::Refused(_) });
                    if self.hosts[host].is_full && (begins || refuses) {
                        self.witness.seen("journal full");
                        if begins {
                            return Some(Input::CannotRecord { detail: "no room".to_owned() });
                        }
                        continue;
                    }
                    self.append(host, case, *record);
                }
                other => self.act(host, other),
            }
        }
        None
    }

    fn append(&mut self, host: usize, case: Generation, record: Record) {
        let journal = self.hosts[host].disk.journals.entry(case).or_default();
        if matches!(record, Record::Accepted { .. }) {
            journal.clear();
        }
        journal.push(record);
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::SaveFence(fence) => self.hosts[host].disk.fence = fence,
            Action::Record { .. } => {}
            Action::Report { generation, progress, .. } => {
                self.check_report(host, generation, &progress);
                self.told(host, Told::Progress { generation, progress });
            }
            Action::Examine { job, apply } => self.ask(host, job, Question::Examine(apply), 20_000),
            Action::WriteReceipt { job, case } => self.ask(host, job, Question::WriteReceipt(case), 2_000),
            Action::RunChecks { job, .. } => self.ask(host, job, Question::Checks, 5_000),
            Action::Confirm { job, case } => self.ask(host, job, Question::Confirm(case), 1_000),
            Action::Compare { job, case } => {
                let Some(case_read) = self.hosts[host].case(case, false) else { return };
                self.ask(host, job, Question::Compare(Box::new(case_read.apply), case), 1_000);
            }
            Action::Start { job, transaction, apply, lease } => {
                self.start_transaction(host, transaction, &apply, lease);
                self.follow(host, job, transaction);
            }
            Action::Attach { job, transaction, .. } => {
                self.follow(host, job, transaction);
                self.tell_followers(host);
            }
        }
    }

    fn ask(&mut self, host: usize, job: JobId, question: Question, at_most_ms: u64) {
        let Some(run) = self.hosts[host].agent.as_ref().map(|agent| agent.run) else { return };
        let pause = self.choices.between(at_most_ms / 10, at_most_ms);
        self.later(pause, Event::Answer { host, run, job, question });
    }

    fn follow(&mut self, host: usize, job: JobId, transaction: TransactionName) {
        if let Some(agent) = self.hosts[host].agent.as_mut() {
            agent.follows.push((job, transaction, false));
        }
    }

    fn start_transaction(&mut self, host: usize, name: TransactionName, apply: &Apply, lease: Option<LeaseDeadline>) {
        let it = &mut self.hosts[host];
        assert_eq!(it.packages.running(), None, "ONE TRANSACTION AT A TIME: {} starts {name}", it.id);
        assert_eq!(lease.is_some(), name.purpose == Purpose::Apply, "only what applies has a lease");
        let wanted = match name.purpose {
            Purpose::Apply => wanted(&apply.order.targets),
            Purpose::Repair => it.packages.versions.clone(),
            Purpose::TakeBack => it.disk.receipts.get(&name.case).cloned().unwrap_or_default(),
        };
        let transaction = Transaction { lease, wanted, claimed: false, cancelled: false, process: true, result: None };
        let before = it.packages.transactions.insert(name, transaction);
        assert!(before.is_none(), "{} starts {name} twice", it.id);
        let boot = it.boot;
        // A machine that is short of everything may take longer to start a process than the lease lasts.
        let pause = if self.choices.one_in(25) { self.choices.between(20_000, 120_000) } else { self.choices.between(100, 2_000) };
        self.later(pause, Event::Work { host, name, boot });
    }

    /// What a transaction's process does next; it needs no agent.
    pub fn work(&mut self, host: usize, name: TransactionName, boot: u32) {
        if self.hosts[host].boot != boot || !self.hosts[host].is_on {
            return;
        }
        let now = self.now_ms;
        let it = &mut self.hosts[host];
        let moment = it.moment(now);
        let is_locked = it.packages.is_locked(now);
        let Some(transaction) = it.packages.transactions.get_mut(&name) else { return };
        if !transaction.process || transaction.cancelled || transaction.result.is_some() {
            transaction.process = false;
            return;
        }
        if transaction.claimed {
            self.finish(host, name);
        } else {
            transaction.claimed = true;
            let is_late = transaction.lease.as_ref().is_some_and(|lease| !lease.is_live(&moment.boot_id, moment.boottime_ms));
            let is_held = transaction.lease.is_some() && it.hold.is_some();
            let why = if is_late {
                Some(NotBegun::LeaseExpired)
            } else if is_held {
                Some(NotBegun::LocalHold)
            } else {
                is_locked.then_some(NotBegun::LockHeld)
            };
            if let Some(why) = why {
                transaction.result = Some(TransactionOutcome::NotBegun { why, detail: "at the door".to_owned() });
            } else {
                if name.purpose == Purpose::Apply {
                    self.check_begin(host, name);
                }
                self.begin(host, name, boot);
            }
        }
        self.tell_followers(host);
    }

    fn begin(&mut self, host: usize, name: TransactionName, boot: u32) {
        if name.purpose != Purpose::Repair && self.choices.one_in(2) {
            self.hosts[host].packages.half = true;
        }
        let hangs = self.choices.one_in(self.setting.fails_one_in * 2);
        let pause = if hangs { 20 * 60_000 } else { self.choices.between(2_000, 60_000) };
        self.later(pause, Event::Work { host, name, boot });
    }

    fn finish(&mut self, host: usize, name: TransactionName) {
        let goes_wrong = self.choices.one_in(self.setting.fails_one_in);
        let outcome = match self.choices.below(3) {
            _ if !goes_wrong => TransactionOutcome::Completed,
            0 => TransactionOutcome::Failed { detail: "dpkg: error".to_owned() },
            1 => TransactionOutcome::TimedOut { detail: "apt-get".to_owned() },
            _ => {
                self.witness.seen("transaction killed");
                if let Some(transaction) = self.hosts[host].packages.transactions.get_mut(&name) {
                    transaction.process = false;
                }
                return;
            }
        };
        let repaired = self.choices.one_in(3);
        let packages = &mut self.hosts[host].packages;
        let Some(transaction) = packages.transactions.get_mut(&name) else { return };
        let completed = outcome == TransactionOutcome::Completed;
        transaction.result = Some(outcome);
        let wanted = transaction.wanted.clone();
        match name.purpose {
            Purpose::Apply | Purpose::TakeBack if completed => {
                packages.versions.extend(wanted);
                packages.half = false;
            }
            // Finishing what was interrupted ends at the target once in a while.
            Purpose::Repair if completed && packages.half => {
                packages.half = false;
                let apply = TransactionName { purpose: Purpose::Apply, attempt: 1, ..name };
                if let Some(applied) = packages.transactions.get(&apply).filter(|_| repaired) {
                    packages.versions.extend(applied.wanted.clone());
                }
            }
            _ => {}
        }
        self.told(host, Told::InventoryChanged(None));
        self.told(host, Told::CandidatesChanged);
    }

    /// Whoever follows a transaction learns what there is to learn.
    pub fn tell_followers(&mut self, host: usize) {
        let follows = self.hosts[host].agent.as_ref().map(|agent| agent.follows.clone()).unwrap_or_default();
        for (job, name, told_claim) in follows {
            let mut told_claim = told_claim;
            loop {
                let followed = self.hosts[host].packages.follow(name, told_claim);
                let Some(agent) = self.hosts[host].agent.as_mut() else { return };
                match followed {
                    Followed::Nothing => break,
                    Followed::Claimed => {
                        told_claim = true;
                        for follow in agent.follows.iter_mut().filter(|follow| follow.0 == job) {
                            follow.2 = true;
                        }
                        self.input(host, Input::Fact { job, fact: Fact::Claimed });
                    }
                    Followed::Ended(outcome) => {
                        agent.follows.retain(|follow| follow.0 != job);
                        self.input(host, Input::Fact { job, fact: Fact::Ended(outcome) });
                        break;
                    }
                }
            }
        }
    }

    pub fn answer(&mut self, host: usize, run: u32, job: JobId, question: Question) {
        if self.hosts[host].agent.as_ref().is_none_or(|agent| agent.run != run) {
            return;
        }
        let now = self.now_ms;
        let it = &mut self.hosts[host];
        let fact = match question {
            Question::Examine(apply) => Fact::Examined(Examination { obstacle: obstacle(it, &apply, now), ..Examination::default() }),
            Question::WriteReceipt(_) if it.packages.half => Fact::ReceiptWritten(Err(broken())),
            Question::WriteReceipt(case) => {
                // Of the packages concerned, and no others.
                let concerned = it.case(case, false).map(|case| wanted(&case.apply.order.targets)).unwrap_or_default();
                let before = it.packages.versions.iter().filter(|(name, _)| concerned.contains_key(*name));
                it.disk.receipts.insert(case, before.map(|(name, version)| (name.clone(), version.clone())).collect());
                Fact::ReceiptWritten(Ok(()))
            }
            Question::Checks => {
                let passes = it.is_sound() && !self.choices.one_in(self.setting.noise_one_in);
                let result = if passes { Ok(()) } else { Err("refused".to_owned()) };
                let name = CheckName::parse("works").unwrap();
                Fact::Checked(Round { checks: vec![CheckOutcome { name, result }], units: None })
            }
            Question::Confirm(case) => {
                let receipt = it.disk.receipts.get(&case).cloned().unwrap_or_default();
                let differences = it.packages.differences(&receipt);
                let lock = it.packages.is_locked(now).then(|| "somebody holds the lock".to_owned());
                Fact::Confirmed(differences.into_iter().next().or(lock).map_or(Ok(()), Err))
            }
            Question::Compare(apply, case) => {
                let receipt = it.disk.receipts.get(&case).cloned().unwrap_or_default();
                let target = it.packages.differences(&wanted(&apply.order.targets));
                Fact::Compared(Comparison { target, receipt: it.packages.differences(&receipt) })
            }
            Question::Staged(rollout) => {
                let result = self.stage();
                self.told(host, Told::Staged { rollout, result });
                return;
            }
        };
        self.input(host, Input::Fact { job, fact });
    }

    fn stage(&mut self) -> StageResult {
        if !self.is_calm && self.choices.one_in(60) {
            let reason = patchwave_common::domain::NotStagedReason::Unreachable;
            return StageResult::NotStaged { reason, detail: "mirror".to_owned() };
        }
        StageResult::Staged { bytes: 1, way_back: true }
    }

    /// An event for the session's core, and what it wants done for it.
    pub fn told(&mut self, host: usize, event: Told) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let it = &mut self.hosts[host];
            let at = it.at(self.now_ms);
            let Some(agent) = it.agent.as_mut() else { return };
            for command in agent.protocol.handle(at, event) {
                events.extend(self.obey(host, command));
            }
        }
        self.note_due(host);
    }

    fn obey(&mut self, host: usize, command: Command) -> Vec<Told> {
        let it = &mut self.hosts[host];
        let Some(agent) = it.agent.as_mut() else { return Vec::new() };
        match command {
            Command::Send(message) => {
                if let Some(stream) = agent.stream {
                    self.say_to_controller(stream, message);
                }
            }
            Command::PrepareInventory { .. } => return vec![Told::InventoryReady(it.inventory().delta_from(None))],
            Command::PrepareCandidates => return vec![Told::CandidatesReady(it.candidates(&self.archive))],
            Command::KeepInventory(_) | Command::KeepCandidates(_) => {}
            Command::RefreshArchive => return vec![Told::ArchiveRefreshed],
            Command::Instruct(instruction) => self.instruct(host, instruction),
            Command::Welcomed { clock_ahead_ms, .. } => {
                self.input(host, Input::ClockOffset { offset_ms: clock_ahead_ms.saturating_neg() });
            }
            Command::HangUp(_) => self.hang_up(host),
        }
        Vec::new()
    }

    fn instruct(&mut self, host: usize, instruction: Instruction) {
        let it = &mut self.hosts[host];
        let input = match instruction {
            Instruction::Stage(request) => {
                self.ask(host, JobId(0), Question::Staged(request.rollout), 60_000);
                return;
            }
            Instruction::Directive(directive) => {
                let case = match &directive.order {
                    Order::TakeBack(order) => it.case(order.of, false),
                    Order::Apply(_) => None,
                };
                Input::Directive { directive, case: case.map(Box::new) }
            }
            Instruction::Lease { lease, asked_ms } => Input::Lease { lease, asked_ms },
            Instruction::Withdraw(generation) => Input::Withdrawn { generation },
            Instruction::Conclude { generation, keep_originals } => {
                let case = it.case(generation, true);
                Input::Concluded { generation, keep: keep_originals, case: case.map(Box::new) }
            }
            Instruction::Quarantine(keys) => {
                it.disk.quarantine = keys.iter().cloned().collect::<std::collections::BTreeSet<QuarantineKey>>();
                Input::Quarantine(it.disk.quarantine.clone())
            }
        };
        self.input(host, input);
    }

    /// The boot-time instants at which machine and protocol want to be woken, as one event of the queue.
    fn note_due(&mut self, host: usize) {
        let it = &self.hosts[host];
        let Some(agent) = &it.agent else { return };
        let wakes = [agent.machine.wake_at(), agent.stream.and_then(|_| agent.protocol.wake_ms())];
        let Some(wake) = wakes.into_iter().flatten().min() else { return };
        let (at, run) = (it.true_time_of(wake).max(self.now_ms + 1), agent.run);
        if agent.due_ms.is_none_or(|due| at < due || due <= self.now_ms) {
            self.hosts[host].agent.as_mut().unwrap().due_ms = Some(at);
            self.at(at, Event::AgentDue { host, run });
        }
    }

    pub fn agent_due(&mut self, host: usize, run: u32) {
        let now = self.now_ms;
        let Some(agent) = self.hosts[host].agent.as_mut().filter(|agent| agent.run == run && agent.due_ms.is_some_and(|due| due <= now))
        else {
            return;
        };
        agent.due_ms = None;
        self.input(host, Input::Tick);
        if self.hosts[host].agent.as_ref().is_some_and(|agent| agent.stream.is_some()) {
            self.told(host, Told::Tick);
        }
        self.note_due(host);
    }

    /// Whether the agent has nothing left to do, or says loudly that a human must.
    pub fn is_done(&self, host: usize) -> bool {
        let state = self.hosts[host].agent.as_ref().map(|agent| agent.machine.state());
        matches!(state, Some(State::Idle | State::Harmed(_) | State::Blocked(_)))
    }

    /// What the agent says of packages has to be true when it is said first.
    fn check_report(&mut self, host: usize, generation: Generation, progress: &DirectiveProgress) {
        let it = &self.hosts[host];
        if it.packages.touched || !self.witness.is_first_report(host, generation, progress) {
            return;
        }
        let Some(case) = it.case(generation, true) else { return };
        match progress {
            DirectiveProgress::Verifying => {
                let differences = it.packages.differences(&wanted(&case.apply.order.targets));
                assert!(differences.is_empty(), "VERIFYING IS AT THE TARGET: {} {generation}: {differences:?}", it.id);
            }
            DirectiveProgress::TakenBack if case.changed => {
                let receipt = it.disk.receipts.get(&case.apply.generation).cloned().unwrap_or_default();
                let differences = it.packages.differences(&receipt);
                assert!(differences.is_empty(), "TAKEN BACK IS AT THE RECEIPT: {} {generation}: {differences:?}", it.id);
            }
            _ => {}
        }
    }
}

fn broken() -> Refusal {
    Refusal::new(RefusalReason::PackageManagerBroken, "half-way")
}

/// What the package manager says about an order before anything is touched.
fn obstacle(host: &crate::host::Host, apply: &Apply, now_ms: u64) -> Option<Refusal> {
    let packages = &host.packages;
    if packages.half {
        return Some(broken());
    }
    if packages.is_locked(now_ms) {
        return Some(Refusal::new(RefusalReason::LockHeld, "apt"));
    }
    let targets = &apply.order.targets.targets;
    let installed = |name: &str| packages.versions.get(name).map(String::as_str);
    if targets.iter().all(|target| installed(target.id.name.as_str()) == Some(target.to.as_str())) {
        return Some(Refusal::new(RefusalReason::AlreadyAtTarget, "there"));
    }
    let drifted = targets.iter().find(|target| installed(target.id.name.as_str()) != Some(target.from.as_str()));
    drifted.map(|target| Refusal::new(RefusalReason::Drifted, target.id.to_string()))
}
