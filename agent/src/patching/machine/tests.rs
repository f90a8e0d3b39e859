//! The machine's rules, one by one. Orders and names are the simulation's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use patchwave_common::domain::{
    Architecture, Directive, DirectiveProgress, Feature, HarmReason, Lease, Manager, Order, PackageName, PackageVersion, QuarantineKey,
    RefusalReason, Timestamp, UnitName,
};

use super::simulation::orders;
use super::*;

/// A machine with its clock, told facts by hand.
struct Desk {
    machine: Machine,
    now: Moment,
}

impl Desk {
    fn new() -> Self {
        let now = Moment { boot_id: "a".to_owned(), boottime_ms: 1_000_000, wall: Timestamp(0) };
        let (machine, _) = Machine::restored(&now, Left::default());
        let mut desk = Self { machine, now };
        desk.tell(Input::ClockOffset { offset_ms: 0 });
        desk
    }

    fn tell(&mut self, input: Input) -> Vec<Action> {
        self.machine.step(&self.now, input)
    }

    fn order(&mut self, directive: Directive) -> Vec<Action> {
        self.tell(Input::Directive { directive: Box::new(directive), case: None })
    }

    /// Answers the question among the actions.
    fn answer(&mut self, actions: &[Action], fact: Fact) -> Vec<Action> {
        let job = actions.iter().find_map(job_of).expect("something was asked");
        self.tell(Input::Fact { job, fact })
    }

    fn pass(&mut self, seconds: u64) -> Vec<Action> {
        self.now.boottime_ms += seconds * 1000;
        self.now.wall.0 += i64::try_from(seconds).unwrap() * 1000;
        self.tell(Input::Tick)
    }

    /// The controller gives a lease that answers a question of this many seconds ago.
    fn lease(&mut self, counter: u64, valid_ms: u64, asked_secs_ago: u64) -> Vec<Action> {
        let asked_ms = self.now.boottime_ms - asked_secs_ago * 1000;
        self.tell(Input::Lease { lease: Lease { generation: orders::generation(counter), valid_ms, answers: 2 }, asked_ms })
    }

    /// Up to the question for a lease.
    fn ready(&mut self, directive: Directive) -> Vec<Action> {
        let actions = self.order(directive);
        let actions = self.answer(&actions, Fact::Examined(Examination::default()));
        let actions = self.answer(&actions, Fact::ReceiptWritten(Ok(())));
        self.answer(&actions, Fact::Checked(round(true)))
    }

    /// Up to the start of the transaction.
    fn begin(&mut self, directive: Directive) -> Vec<Action> {
        let generation = directive.generation;
        self.ready(directive);
        let actions = self.lease(generation.counter, 60_000, 0);
        self.answer(&actions, Fact::Confirmed(Ok(())))
    }

    /// Up to the first round of checks at the target.
    fn verify(&mut self, directive: Directive) -> Vec<Action> {
        let actions = self.begin(directive);
        let actions = self.answer(&actions, Fact::Ended(TransactionOutcome::Completed));
        self.answer(&actions, Fact::Compared(Comparison { target: vec![], receipt: vec!["web".to_owned()] }))
    }
}

fn job_of(action: &Action) -> Option<JobId> {
    match action {
        Action::Examine { job, .. }
        | Action::WriteReceipt { job, .. }
        | Action::RunChecks { job, .. }
        | Action::Confirm { job, .. }
        | Action::Start { job, .. }
        | Action::Attach { job, .. }
        | Action::Compare { job, .. } => Some(*job),
        Action::SaveFence(_) | Action::Record { .. } | Action::Report { .. } => None,
    }
}

fn round(passes: bool) -> Round {
    let result = if passes { Ok(()) } else { Err("refused".to_owned()) };
    Round { checks: vec![CheckOutcome { name: orders::check_name(), result }], units: Some(Units::default()) }
}

fn refusal(actions: &[Action]) -> Option<RefusalReason> {
    actions.iter().find_map(|action| match action {
        Action::Report { progress: DirectiveProgress::Refused { reason, .. }, .. } => Some(*reason),
        _ => None,
    })
}

fn harm(actions: &[Action]) -> Option<HarmReason> {
    actions.iter().find_map(|action| match action {
        Action::Report { progress: DirectiveProgress::Harmed { reason, .. }, .. } => Some(*reason),
        _ => None,
    })
}

fn reports(actions: &[Action], wanted: &DirectiveProgress) -> bool {
    actions.iter().any(|action| matches!(action, Action::Report { progress, .. } if progress == wanted))
}

fn starts(actions: &[Action]) -> Option<Purpose> {
    actions.iter().find_map(|action| match action {
        Action::Start { transaction, .. } => Some(transaction.purpose),
        _ => None,
    })
}

#[test]
fn an_order_is_refused_before_anything_is_asked_where_the_host_itself_says_no() {
    let quarantined = QuarantineKey {
        manager: Manager::Simulated,
        origin: "Debian/stable".to_owned(),
        source: PackageName::parse("web").unwrap(),
        version: PackageVersion::parse("1").unwrap(),
        architecture: Architecture::parse("amd64").unwrap(),
    };
    let mut unknown_feature = orders::apply(1, true);
    unknown_feature.requires.push(Feature("teleport-v9".to_owned()));
    let cases = [
        (Input::Hold(Some("month end".to_owned())), orders::apply(1, true), RefusalReason::LocalHold),
        (Input::ClockOffset { offset_ms: -300_001 }, orders::apply(1, true), RefusalReason::ClockOff),
        (Input::ClockOffset { offset_ms: 7_200_000 }, orders::apply(1, true), RefusalReason::ClockOff),
        (Input::Quarantine(BTreeSet::from([quarantined])), orders::apply(1, true), RefusalReason::Quarantined),
        (Input::Tick, unknown_feature, RefusalReason::UnsupportedFeature),
        (Input::Tick, orders::take_back(2, 1), RefusalReason::NoReceipt),
    ];
    for (before, order, reason) in cases {
        let mut desk = Desk::new();
        desk.tell(before);
        let actions = desk.order(order);
        assert_eq!(refusal(&actions), Some(reason));
        assert!(actions.iter().all(|action| job_of(action).is_none() && !matches!(action, Action::Record { .. })));
    }
}

#[test]
fn an_older_order_is_refused_and_the_same_one_answered_with_where_it_stands() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(5, true));
    assert_eq!(refusal(&desk.order(orders::apply(4, true))), Some(RefusalReason::OldGeneration));
    let again = desk.order(orders::apply(5, true));
    assert!(reports(&again, &DirectiveProgress::Ready) && again.len() == 1, "{again:?}");
}

#[test]
fn a_lease_counts_from_the_question_and_one_that_ran_out_is_asked_for_again() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(1, true));
    desk.pass(60);
    let late = desk.lease(1, 60_000, 60);
    assert!(reports(&late, &DirectiveProgress::Ready) && starts(&late).is_none());
    let confirm = desk.lease(1, 60_000, 0);
    assert!(confirm.iter().any(|action| matches!(action, Action::Confirm { .. })));
    desk.now.boottime_ms += 60_000;
    let expired = desk.answer(&confirm, Fact::Confirmed(Ok(())));
    assert!(starts(&expired).is_none() && reports(&expired, &DirectiveProgress::Ready), "it ran out during the last look");
}

#[test]
fn a_lease_for_another_order_or_without_a_question_begins_nothing() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(2, true));
    assert!(desk.lease(1, 60_000, 0).is_empty());
    desk.lease(2, 0, 0);
    desk.tell(Input::Withdrawn { generation: orders::generation(2) });
    assert!(desk.lease(2, 60_000, 0).is_empty());
}

#[test]
fn without_a_lease_the_order_is_refused_after_half_an_hour() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(1, true));
    assert_eq!(refusal(&desk.pass(1799)), None);
    assert_eq!(refusal(&desk.pass(1)), Some(RefusalReason::NoLease));
}

#[test]
fn a_hold_or_a_withdrawal_stops_what_has_not_begun_and_nothing_that_has() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(1, true));
    assert_eq!(refusal(&desk.tell(Input::Hold(Some("x".to_owned())))), Some(RefusalReason::LocalHold));
    let mut desk = Desk::new();
    desk.begin(orders::apply(1, true));
    assert!(desk.tell(Input::Hold(Some("x".to_owned()))).is_empty());
    assert_eq!(refusal(&desk.tell(Input::Withdrawn { generation: orders::generation(1) })), None);
    assert_eq!(desk.machine.state().name(), "applying");
}

#[test]
fn a_host_that_changed_since_the_examination_is_examined_again_a_bounded_number_of_times() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(1, true));
    let mut tries = 0;
    loop {
        let confirm = desk.lease(1, 60_000, 0);
        let actions = desk.answer(&confirm, Fact::Confirmed(Err("a conffile".to_owned())));
        tries += 1;
        if let Some(reason) = refusal(&actions) {
            assert_eq!((reason, tries), (RefusalReason::Drifted, 5));
            return;
        }
        let actions = desk.answer(&actions, Fact::Examined(Examination::default()));
        let actions = desk.answer(&actions, Fact::ReceiptWritten(Ok(())));
        desk.answer(&actions, Fact::Checked(round(true)));
    }
}

#[test]
fn other_hands_and_a_missing_way_back_need_the_policys_word() {
    let examinations = [
        (Examination { other_hands: vec!["apt-daily-upgrade.timer".to_owned()], ..Examination::default() }, RefusalReason::OtherHands),
        (Examination { no_way_back: vec!["web 1".to_owned()], ..Examination::default() }, RefusalReason::NoWayBack),
    ];
    for (examination, reason) in examinations {
        let mut desk = Desk::new();
        let actions = desk.order(orders::apply(1, true));
        assert_eq!(refusal(&desk.answer(&actions, Fact::Examined(examination.clone()))), Some(reason));
        let mut allowed = orders::apply(1, true);
        if let Order::Apply(order) = &mut allowed.order {
            order.transaction.observe_other_hands = true;
            order.transaction.allow_no_way_back = true;
        }
        let mut desk = Desk::new();
        let actions = desk.order(allowed);
        assert_eq!(refusal(&desk.answer(&actions, Fact::Examined(examination))), None);
    }
}

#[test]
fn a_check_that_failed_before_proves_nothing_and_one_that_passed_is_harm_only_after_the_patience() {
    for passed_before in [true, false] {
        let mut desk = Desk::new();
        let actions = desk.order(orders::apply(1, true));
        let actions = desk.answer(&actions, Fact::Examined(Examination::default()));
        let actions = desk.answer(&actions, Fact::ReceiptWritten(Ok(())));
        desk.answer(&actions, Fact::Checked(round(passed_before)));
        let actions = desk.lease(1, 60_000, 0);
        let actions = desk.answer(&actions, Fact::Confirmed(Ok(())));
        let actions = desk.answer(&actions, Fact::Ended(TransactionOutcome::Completed));
        let mut actions = desk.answer(&actions, Fact::Compared(Comparison::default()));
        let mut seen = None;
        for seconds in (0..=60).step_by(10) {
            let told = desk.answer(&actions, Fact::Checked(round(false)));
            seen = seen.or(harm(&told).map(|reason| (seconds, reason)));
            actions = desk.pass(10);
            if actions.is_empty() {
                break;
            }
        }
        assert_eq!(seen, passed_before.then_some((60, HarmReason::CheckFailed)));
    }
}

#[test]
fn proved_healthy_it_is_watched_on_until_the_controller_concludes() {
    let mut desk = Desk::new();
    let mut actions = desk.verify(orders::apply(1, true));
    for _ in 0..2 {
        assert!(!reports(&desk.answer(&actions, Fact::Checked(round(true))), &DirectiveProgress::Healthy));
        actions = desk.pass(10);
    }
    assert!(reports(&desk.answer(&actions, Fact::Checked(round(true))), &DirectiveProgress::Healthy), "after twenty seconds");
    let actions = desk.pass(10);
    let mut failed = round(true);
    failed.units = Some(Units { failed: BTreeSet::from([UnitName::parse("web.service").unwrap()]), ..Units::default() });
    let harmed = desk.answer(&actions, Fact::Checked(failed));
    assert_eq!(harm(&harmed), Some(HarmReason::UnitFailed));
    assert!(reports(&harmed, &DirectiveProgress::TakingBack));
    let mut desk = Desk::new();
    desk.verify(orders::apply(1, true));
    desk.tell(Input::Concluded { generation: orders::generation(1), keep: Duration::from_secs(5), case: None });
    assert_eq!(desk.machine.state(), &State::Idle);
}

#[test]
fn without_automatic_rollback_a_harmed_host_waits_for_the_order() {
    let mut desk = Desk::new();
    let actions = desk.begin(orders::apply(1, false));
    let actions = desk.answer(&actions, Fact::Ended(TransactionOutcome::Completed));
    let actions = desk.answer(&actions, Fact::Compared(Comparison { target: vec!["web".to_owned()], receipt: vec![] }));
    assert_eq!((harm(&actions), starts(&actions)), (Some(HarmReason::WrongVersions), None));
    assert!(desk.pass(100_000).is_empty());
    let actions = desk.order(orders::take_back(2, 1));
    assert!(reports(&actions, &DirectiveProgress::TakingBack));
    let back = desk.answer(&actions, Fact::Compared(Comparison { target: vec![], receipt: vec!["web".to_owned()] }));
    assert_eq!(starts(&back), Some(Purpose::TakeBack));
}

#[test]
fn a_hold_keeps_the_way_back_from_beginning_unless_the_host_is_half_way() {
    for (outcome, waits) in [(TransactionOutcome::Completed, true), (TransactionOutcome::Failed { detail: "x".to_owned() }, false)] {
        let mut desk = Desk::new();
        let mut actions = desk.begin(orders::apply(1, true));
        desk.tell(Input::Hold(Some("x".to_owned())));
        actions = desk.answer(&actions, Fact::Ended(outcome.clone()));
        if outcome != TransactionOutcome::Completed {
            assert_eq!(starts(&actions), Some(Purpose::Repair));
            actions = desk.answer(&actions, Fact::Ended(TransactionOutcome::Completed));
        }
        actions = desk.answer(&actions, Fact::Compared(Comparison { target: vec!["web".to_owned()], receipt: vec![] }));
        assert!(harm(&actions).is_some());
        assert_eq!(!reports(&actions, &DirectiveProgress::TakingBack), waits);
        if waits {
            assert!(reports(&desk.tell(Input::Hold(None)), &DirectiveProgress::TakingBack));
        }
    }
}

#[test]
fn the_way_back_is_tried_five_times_and_then_a_person_is_told_what_differs() {
    let mut desk = Desk::new();
    let actions = desk.begin(orders::apply(1, true));
    let mut actions = desk.answer(&actions, Fact::Ended(TransactionOutcome::Completed));
    let differs = Comparison { target: vec!["web".to_owned()], receipt: vec!["web:amd64 version is 3, should be 0".to_owned()] };
    actions = desk.answer(&actions, Fact::Compared(differs.clone()));
    for attempt in 1..=5 {
        actions = desk.answer(&actions, Fact::Compared(differs.clone()));
        if attempt > 1 {
            actions = desk.pass(15);
        }
        assert_eq!(starts(&actions), Some(Purpose::TakeBack), "attempt {attempt}");
        actions = desk.answer(&actions, Fact::Ended(TransactionOutcome::Failed { detail: "no space".to_owned() }));
    }
    let end = desk.answer(&actions, Fact::Compared(differs));
    let detail = end.iter().find_map(|action| match action {
        Action::Report { progress: DirectiveProgress::NeedsAttention { detail }, .. } => Some(detail.clone()),
        _ => None,
    });
    let detail = detail.unwrap();
    assert!(detail.contains("no space") && detail.contains("should be 0"), "{detail}");
}

#[test]
fn a_concluded_case_is_taken_back_only_where_the_host_still_is_as_it_was_left() {
    for (target, refused) in [(vec![], None), (vec!["web is 9".to_owned()], Some(RefusalReason::Drifted))] {
        let mut desk = Desk::new();
        desk.verify(orders::apply(1, true));
        let records = [
            Record::Accepted { directive: orders::apply(1, true), at: Timestamp(0) },
            Record::Begun {
                transaction: TransactionName { case: orders::generation(1), purpose: Purpose::Apply, attempt: 1 },
                lease: LeaseDeadline { boot_id: "a".to_owned(), boottime_ms: 1 },
                baseline: Baseline::default(),
            },
            Record::Verifying,
            Record::Healthy,
            Record::Finished { end: End::Concluded },
            Record::Concluded { at: Timestamp(0), keep: Duration::from_secs(9) },
        ];
        desk.tell(Input::Concluded { generation: orders::generation(1), keep: Duration::from_secs(9), case: None });
        let order = Input::Directive { directive: Box::new(orders::take_back(2, 1)), case: Case::fold(&records).map(Box::new) };
        let actions = desk.tell(order);
        let told = desk.answer(&actions, Fact::Compared(Comparison { target, receipt: vec!["web".to_owned()] }));
        assert_eq!(refusal(&told), refused);
        assert_eq!(starts(&told).is_some(), refused.is_none());
    }
}

#[test]
fn a_clock_that_is_set_during_a_session_counts_as_it_is_now() {
    const TWO_HOURS_MS: i64 = 7_200_000;
    let mut desk = Desk::new();
    desk.tell(Input::ClockOffset { offset_ms: TWO_HOURS_MS });
    desk.now.wall.0 += TWO_HOURS_MS;
    desk.pass(3600);
    assert_eq!(refusal(&desk.order(orders::apply(1, true))), None, "it was mended");
    let mut desk = Desk::new();
    desk.now.wall.0 -= TWO_HOURS_MS;
    assert_eq!(refusal(&desk.order(orders::apply(1, true))), Some(RefusalReason::ClockOff), "it went wrong");
}

#[test]
fn a_conclusion_that_comes_again_is_not_answered() {
    let mut desk = Desk::new();
    desk.verify(orders::apply(1, true));
    let conclude = |case| Input::Concluded { generation: orders::generation(1), keep: Duration::from_secs(9), case };
    desk.tell(conclude(None));
    let records = [
        Record::Accepted { directive: orders::apply(1, true), at: Timestamp(0) },
        Record::Healthy,
        Record::Finished { end: End::Concluded },
        Record::Concluded { at: Timestamp(0), keep: Duration::from_secs(9) },
    ];
    assert_eq!(desk.tell(conclude(Case::fold(&records).map(Box::new))), []);
}

#[test]
fn a_case_concluded_half_way_can_still_be_taken_back_though_it_is_at_neither_end() {
    let transaction = TransactionName { case: orders::generation(1), purpose: Purpose::Apply, attempt: 1 };
    let lease = LeaseDeadline { boot_id: "a".to_owned(), boottime_ms: 1 };
    let records = [
        Record::Accepted { directive: orders::apply(1, false), at: Timestamp(0) },
        Record::Begun { transaction, lease, baseline: Baseline::default() },
        Record::Ended { transaction, outcome: TransactionOutcome::Failed { detail: "dpkg".to_owned() } },
        Record::Harmed { harm: Harm { reason: HarmReason::TransactionFailed, detail: "dpkg".to_owned() } },
        Record::Finished { end: End::Concluded },
        Record::Concluded { at: Timestamp(0), keep: Duration::from_secs(9) },
    ];
    let mut desk = Desk::new();
    let case = Case::fold(&records).map(Box::new);
    let actions = desk.tell(Input::Directive { directive: Box::new(orders::take_back(2, 1)), case });
    let half_way = Comparison { target: vec!["web".to_owned()], receipt: vec!["web".to_owned()] };
    let told = desk.answer(&actions, Fact::Compared(half_way));
    assert_eq!((refusal(&told), starts(&told)), (None, Some(Purpose::TakeBack)));
}

#[test]
fn a_way_back_ordered_before_anything_began_is_there_already() {
    let mut desk = Desk::new();
    desk.ready(orders::apply(1, true));
    let actions = desk.order(orders::take_back(2, 1));
    assert!(reports(&actions, &DirectiveProgress::TakenBack) && starts(&actions).is_none());
    assert_eq!(desk.machine.state(), &State::Idle);
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_order_and_nothing_else() {
    let mut desk = Desk::new();
    desk.begin(orders::apply(1, true));
    let actions = desk.tell(Input::CannotRecord { detail: "No space left on device".to_owned() });
    assert_eq!(refusal(&actions), Some(RefusalReason::DiskFull));
}

#[test]
fn an_unreadable_journal_blocks_every_order_and_says_so() {
    let now = Moment { boot_id: "a".to_owned(), boottime_ms: 1, wall: Timestamp(0) };
    let fence = Fence { newest: Some(orders::generation(1)), rollout: Some(orders::rollout()), last: None };
    let left = Left { damage: Some("the journal x is damaged".to_owned()), fence, ..Left::default() };
    let (mut machine, actions) = Machine::restored(&now, left);
    assert!(reports(&actions, &DirectiveProgress::NeedsAttention { detail: "the journal x is damaged".to_owned() }));
    let _ = machine.step(&now, Input::ClockOffset { offset_ms: 0 });
    let actions = machine.step(&now, Input::Directive { directive: Box::new(orders::apply(2, true)), case: None });
    assert_eq!(refusal(&actions), Some(RefusalReason::Busy));
}
