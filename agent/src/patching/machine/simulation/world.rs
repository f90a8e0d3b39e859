//! A host and a controller in small, around one machine: what is on disk survives crashes, what is in memory does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use patchwave_common::domain::{DirectiveProgress, Generation, Lease, RefusalReason, Timestamp};

use super::super::*;
use super::choices::Choices;
use super::orders;

/// A transaction's process and directory.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub lease: Option<LeaseDeadline>,
    pub claimed: bool,
    pub cancelled: bool,
    /// Whether a process lives that carries it out, or will.
    pub process: bool,
    pub result: Option<TransactionOutcome>,
}

/// A question that the driver of the present run works on.
#[derive(Debug, Clone)]
pub enum Question {
    Examine(Box<Apply>),
    WriteReceipt(Generation),
    Checks,
    Confirm,
    Compare(Generation),
    Follow { transaction: TransactionName, told_claim: bool },
}

/// Everything.
#[derive(Debug)]
pub struct World {
    pub machine: Machine,
    pub boottime_ms: u64,
    pub boot: u32,
    /// The installed version; `None` in the middle of a transaction.
    pub version: Option<u64>,
    pub receipts: BTreeMap<Generation, u64>,
    pub journals: BTreeMap<Generation, Vec<Record>>,
    pub fence: Fence,
    pub hold: Option<String>,
    pub transactions: BTreeMap<TransactionName, Transaction>,
    pub questions: Vec<(JobId, Question)>,
    /// Leases on their way, each with the boot time of its question.
    pub leases: VecDeque<(u64, Lease)>,
    /// Boot times of the questions for a lease that the controller heard in this session; each of its leases answers the newest.
    pub questions_for_lease: Vec<u64>,
    /// Until when the controller thinks that each order may begin.
    pub granted: BTreeMap<Generation, LeaseDeadline>,
    /// Versions that fail their checks.
    pub bad: BTreeSet<u64>,
    pub applied: BTreeMap<Generation, u32>,
    pub attention: bool,
    pub reports: Vec<(Generation, DirectiveProgress)>,
    /// How many more actions are done before the agent is killed in the middle of them.
    pub dies_after: Option<usize>,
}

impl World {
    pub fn new() -> Self {
        let now = Moment { boot_id: "boot-1".to_owned(), boottime_ms: 0, wall: Timestamp(0) };
        let (machine, actions) = Machine::restored(&now, Left::default());
        assert!(actions.is_empty());
        Self {
            machine,
            boottime_ms: 0,
            boot: 1,
            version: Some(0),
            receipts: BTreeMap::new(),
            journals: BTreeMap::new(),
            fence: Fence::default(),
            hold: None,
            transactions: BTreeMap::new(),
            questions: Vec::new(),
            leases: VecDeque::new(),
            questions_for_lease: Vec::new(),
            granted: BTreeMap::new(),
            bad: BTreeSet::new(),
            applied: BTreeMap::new(),
            attention: false,
            reports: Vec::new(),
            dies_after: None,
        }
    }

    pub fn now(&self) -> Moment {
        let wall = Timestamp(i64::try_from(self.boottime_ms).unwrap());
        Moment { boot_id: format!("boot-{}", self.boot), boottime_ms: self.boottime_ms, wall }
    }

    /// One input, and everything that the machine wants done for it.
    pub fn input(&mut self, input: Input) {
        let older = match &input {
            Input::Directive { directive, .. } => self.machine.newest_generation().filter(|newest| directive.generation < *newest),
            _ => None,
        };
        let actions = self.machine.step(&self.now(), input);
        if older.is_some() {
            self.older_generation_changes_nothing(&actions);
        }
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match self.dies_after {
                Some(0) => {
                    self.crash();
                    return;
                }
                Some(left) => self.dies_after = Some(left - 1),
                None => {}
            }
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::SaveFence(fence) => self.fence = fence,
            Action::Record { case, record } => {
                let journal = self.journals.entry(case).or_default();
                if matches!(*record, Record::Accepted { .. }) {
                    journal.clear();
                }
                journal.push(*record);
            }
            Action::Report { generation, progress, .. } => self.report(generation, progress),
            Action::Examine { job, apply } => self.questions.push((job, Question::Examine(apply))),
            Action::WriteReceipt { job, case } => self.questions.push((job, Question::WriteReceipt(case))),
            Action::RunChecks { job, .. } => self.questions.push((job, Question::Checks)),
            Action::Confirm { job, .. } => self.questions.push((job, Question::Confirm)),
            Action::Compare { job, case } => self.questions.push((job, Question::Compare(case))),
            Action::Start { job, transaction, lease, .. } => {
                self.start(transaction, lease);
                self.questions.push((job, Question::Follow { transaction, told_claim: false }));
            }
            Action::Attach { job, transaction, .. } => {
                self.questions.push((job, Question::Follow { transaction, told_claim: false }));
            }
        }
    }

    fn start(&mut self, transaction: TransactionName, lease: Option<LeaseDeadline>) {
        self.one_transaction_at_a_time();
        self.no_apply_without_live_lease(transaction, lease.as_ref());
        let new = Transaction { lease, claimed: false, cancelled: false, process: true, result: None };
        let before = self.transactions.insert(transaction, new);
        assert!(before.is_none(), "{transaction} was started twice");
    }

    /// The agent is killed: questions are forgotten, transactions are not.
    pub fn crash(&mut self) {
        self.dies_after = None;
        self.questions.clear();
        self.disconnect();
        let cases: Vec<Case> = self.journals.values().filter_map(|records| Case::fold(records)).collect();
        let newest = |case: &Case| case.history.generation.max(case.apply.generation);
        let begun = cases.iter().filter(|case| case.changed && !case.is_ended()).max_by_key(|case| newest(case));
        let case = begun.or_else(|| cases.iter().max_by_key(|case| newest(case))).cloned();
        let left = Left { fence: self.fence.clone(), case, hold: self.hold.clone(), ..Left::default() };
        let (machine, actions) = Machine::restored(&self.now(), left);
        self.machine = machine;
        self.perform(actions);
        self.input(Input::ClockOffset { offset_ms: 0 });
    }

    /// The session ends: what is on its way never arrives.
    pub fn disconnect(&mut self) {
        self.leases.clear();
        self.questions_for_lease.clear();
    }

    /// A session begins; the hello's history carries the question.
    pub fn connect(&mut self) {
        self.disconnect();
        if matches!(self.machine.state(), State::AwaitingLease(_)) {
            self.questions_for_lease.push(self.boottime_ms);
        }
        self.input(Input::Connected);
    }

    /// The host reboots: processes are gone too, and so is every lease.
    pub fn reboot(&mut self) {
        self.boot += 1;
        self.boottime_ms = 0;
        self.granted.clear();
        for transaction in self.transactions.values_mut() {
            transaction.process = false;
        }
        self.crash();
    }

    /// What a transaction's process does next.
    pub fn work(&mut self, name: TransactionName, choices: &mut Choices) {
        let now = self.now();
        let hold = self.hold.is_some();
        let transaction = self.transactions.get_mut(&name).unwrap();
        if !transaction.process || transaction.cancelled || transaction.result.is_some() {
            transaction.process = false;
            return;
        }
        if !transaction.claimed {
            transaction.claimed = true;
            let expired = transaction.lease.as_ref().is_some_and(|lease| !lease.is_live(&now.boot_id, now.boottime_ms));
            let held = transaction.lease.is_some() && hold;
            if expired || held {
                let why = if expired { NotBegun::LeaseExpired } else { NotBegun::LocalHold };
                transaction.result = Some(TransactionOutcome::NotBegun { why, detail: "at the door".to_owned() });
                return;
            }
            if name.purpose == Purpose::Apply {
                *self.applied.entry(name.case).or_default() += 1;
                assert_eq!(self.applied[&name.case], 1, "directive {} was applied twice", name.case);
            }
            if name.purpose != Purpose::Repair && choices.below(2) == 0 {
                self.version = None;
            }
            return;
        }
        let outcome = match choices.below(8) {
            0 => TransactionOutcome::Failed { detail: "dpkg: error".to_owned() },
            1 => TransactionOutcome::TimedOut { detail: "apt-get".to_owned() },
            2 => {
                // Killed: no result. Half of what it did stays.
                transaction.process = false;
                return;
            }
            _ => TransactionOutcome::Completed,
        };
        let completed = outcome == TransactionOutcome::Completed;
        transaction.result = Some(outcome);
        match (name.purpose, completed) {
            (Purpose::Apply, true) => self.version = Some(name.case.counter),
            (Purpose::TakeBack, true) => self.version = self.receipts.get(&name.case).copied(),
            (Purpose::Repair, true) if self.version.is_none() && choices.below(3) == 0 => self.version = Some(name.case.counter),
            _ => {}
        }
    }

    /// Answers one question; one about a transaction only where there is something to say.
    pub fn answer(&mut self, index: usize, choices: &mut Choices) {
        let (job, question) = self.questions[index].clone();
        let fact = match question {
            Question::Examine(apply) => Fact::Examined(self.examine(&apply, choices)),
            Question::WriteReceipt(case) => {
                // An answer that comes too late, for a case that gave way, may find another one's transaction at work.
                let written = self.version.map(|version| self.receipts.insert(case, version));
                let refusal = || Refusal::new(RefusalReason::PackageManagerBroken, "half-way");
                Fact::ReceiptWritten(written.map(|_| ()).ok_or_else(refusal))
            }
            Question::Checks => Fact::Checked(self.round(choices)),
            Question::Confirm if choices.below(10) == 0 => Fact::Confirmed(Err("a conffile".to_owned())),
            Question::Confirm => Fact::Confirmed(Ok(())),
            Question::Compare(case) => {
                let unlike = |wanted: Option<u64>| if self.version == wanted { vec![] } else { vec![format!("{:?}", self.version)] };
                Fact::Compared(Comparison { target: unlike(Some(case.counter)), receipt: unlike(self.receipts.get(&case).copied()) })
            }
            Question::Follow { transaction, told_claim } => {
                let Some(fact) = self.follow(transaction, told_claim) else { return };
                if fact == Fact::Claimed {
                    self.questions[index].1 = Question::Follow { transaction, told_claim: true };
                    self.input(Input::Fact { job, fact });
                    return;
                }
                fact
            }
        };
        self.questions.remove(index);
        self.input(Input::Fact { job, fact });
    }

    fn follow(&mut self, name: TransactionName, told_claim: bool) -> Option<Fact> {
        let cancelled = TransactionOutcome::NotBegun { why: NotBegun::Cancelled, detail: "never offered".to_owned() };
        let Some(transaction) = self.transactions.get_mut(&name) else { return Some(Fact::Ended(cancelled)) };
        if transaction.claimed && !told_claim {
            return Some(Fact::Claimed);
        }
        if let Some(result) = &transaction.result {
            transaction.process = false;
            return Some(Fact::Ended(result.clone()));
        }
        if transaction.process {
            return None;
        }
        if transaction.claimed {
            return Some(Fact::Ended(TransactionOutcome::Interrupted { detail: "gone".to_owned() }));
        }
        transaction.cancelled = true;
        Some(Fact::Ended(cancelled))
    }

    fn examine(&self, apply: &Apply, choices: &mut Choices) -> Examination {
        let obstacle = match self.version {
            None => Some(Refusal::new(RefusalReason::PackageManagerBroken, "half-way")),
            Some(version) if version == apply.generation.counter => Some(Refusal::new(RefusalReason::AlreadyAtTarget, "there")),
            Some(_) if choices.below(12) == 0 => Some(Refusal::new(RefusalReason::LockHeld, "apt")),
            Some(_) => None,
        };
        Examination { obstacle, ..Examination::default() }
    }

    fn round(&self, choices: &mut Choices) -> Round {
        let healthy = self.version.is_some_and(|version| !self.bad.contains(&version)) && choices.below(12) != 0;
        let result = if healthy { Ok(()) } else { Err("refused".to_owned()) };
        Round { checks: vec![CheckOutcome { name: orders::check_name(), result }], units: None }
    }
}

/// What must hold, by name.
impl World {
    fn no_apply_without_live_lease(&self, transaction: TransactionName, lease: Option<&LeaseDeadline>) {
        assert_eq!(lease.is_some(), transaction.purpose == Purpose::Apply, "only what applies has a lease");
        let Some(lease) = lease else { return };
        let now = self.now();
        assert!(lease.is_live(&now.boot_id, now.boottime_ms), "{transaction} starts under a lease that ran out");
        let granted = self.granted.get(&transaction.case).expect("a transaction starts only where the controller gave a lease");
        assert_eq!(granted.boot_id, lease.boot_id, "a reboot voids a lease");
        assert!(lease.boottime_ms <= granted.boottime_ms, "the agent believes a lease for longer than the controller");
        assert!(self.receipts.contains_key(&transaction.case), "nothing is applied without a receipt");
        assert_eq!(self.machine.newest_generation(), Some(transaction.case), "{transaction} starts after a newer order was seen");
        assert!(self.hold.is_none(), "{transaction} starts under a hold");
    }

    fn one_transaction_at_a_time(&self) {
        let busy: Vec<_> = self.transactions.iter().filter(|(_, it)| it.claimed && it.process && it.result.is_none()).collect();
        assert!(busy.is_empty(), "a transaction starts while another one runs: {busy:?}");
    }

    fn older_generation_changes_nothing(&self, actions: &[Action]) {
        let only_reports = actions.iter().all(|action| matches!(action, Action::Report { .. }));
        assert!(only_reports, "an order older than the newest seen had an effect: {actions:?}");
    }

    fn report(&mut self, generation: Generation, progress: DirectiveProgress) {
        let is_again = self.reports.contains(&(generation, progress.clone()));
        match &progress {
            DirectiveProgress::Verifying if !is_again => assert_eq!(self.version, Some(generation.counter), "verifying beside the target"),
            DirectiveProgress::TakenBack if !is_again => {
                let case = self.case_of(generation).expect("a case is taken back");
                let receipt = self.receipts.get(&case).copied();
                assert!(!self.applied.contains_key(&case) || self.version == receipt, "taken back beside the receipt");
            }
            DirectiveProgress::Ready => self.questions_for_lease.push(self.boottime_ms),
            DirectiveProgress::NeedsAttention { .. } => self.attention = true,
            _ => {}
        }
        self.reports.push((generation, progress));
    }

    /// The case that reports under this generation.
    fn case_of(&self, generation: Generation) -> Option<Generation> {
        let folded = self.journals.values().filter_map(|records| Case::fold(records));
        let is_meant =
            |case: &Case| case.apply.generation == generation || case.back.as_ref().is_some_and(|back| back.generation == generation);
        folded.filter(is_meant).map(|case| case.apply.generation).next()
    }
}
