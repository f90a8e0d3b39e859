//! Single writes: what they change, what they refuse.

use bytes::Bytes;
use patchwave_common::domain::{Generation, Labels, OperatorName, PolicyName, Timestamp};

use super::{Bed, failed_guard, write};
use crate::records::{HostState, HostUpdate, Lift, Revocation};
use crate::store::testing::*;
use crate::store::{Change, Guard, MAX_CHANGES, StoreError, Write};

pub(super) fn a_write_is_read_back_and_takes_the_next_revision(bed: Bed) {
    let store = bed.store();
    assert_eq!(write(&store, vec![Change::PutHost(Box::new(host("h-1"))), Change::PutToken(token("t1", 3))]).unwrap(), 1);
    assert_eq!(write(&store, vec![Change::PutOperator(operator("bob")), Change::PutCertificate(certificate("ab01"))]).unwrap(), 2);
    assert_eq!(write(&store, vec![Change::PutRolloutHead(Box::new(head("r-1"))), Change::SetHalt(halt(true))]).unwrap(), 3);
    assert_eq!(store.revision().unwrap(), 3);
    let mut stored = host("h-1");
    stored.revision = 1;
    assert_eq!(store.host(&host_id("h-1")).unwrap(), Some(stored));
    assert_eq!(store.token(&token_id("t1")).unwrap(), Some(token("t1", 3)));
    let mut stored = operator("bob");
    stored.revision = 1;
    assert_eq!(store.operator(&stored.name).unwrap(), Some(stored));
    let stored = certificate("ab01");
    assert_eq!(store.certificate(&stored.serial).unwrap(), Some(stored));
    assert_eq!(store.rollout(&rollout_id("r-1")).unwrap(), Some(head("r-1")));
    assert_eq!(store.halt().unwrap(), Some(halt(true)));
}

pub(super) fn a_write_that_fails_leaves_nothing_behind_and_takes_no_revision(bed: Bed) {
    let store = bed.store();
    write(&store, vec![event("before")]).unwrap();
    let changes =
        || vec![Change::PutHost(Box::new(host("h-1"))), event("lost"), Change::AppendAudit(audit("lost")), Change::SetHalt(halt(true))];
    let guarded = Write::new(changes()).when(Guard::HostRevision { host: host_id("h-1"), expected: 4 });
    assert!(store.write(guarded).unwrap_err().is_conflict());
    let mut late = changes();
    late.push(Change::UseToken(token_id("none")));
    assert!(write(&store, late).is_err(), "the last change fails and takes the earlier ones with it");
    assert_eq!((store.revision().unwrap(), store.fleet_revision().unwrap()), (1, 0));
    assert_eq!((store.last_event().unwrap(), store.audit_end().unwrap().0), (1, 0));
    assert_eq!(store.host(&host_id("h-1")).unwrap(), None);
    assert_eq!(store.halt().unwrap(), None);
    store.verify().unwrap();
}

pub(super) fn writes_of_one_group_see_one_another_and_fail_alone(bed: Bed) {
    let store = bed.store();
    let put =
        |expected| Write::new(vec![Change::PutHost(Box::new(host("h-1")))]).when(Guard::HostRevision { host: host_id("h-1"), expected });
    let results = store.write_many(vec![put(0), put(0), put(1), put(1), put(2)]);
    let revisions: Vec<Option<u64>> = results.into_iter().map(Result::ok).collect();
    assert_eq!(revisions, [Some(1), None, Some(2), None, Some(3)]);
    assert_eq!(store.host(&host_id("h-1")).unwrap().unwrap().revision, 3);
    store.verify().unwrap();
}

pub(super) fn a_write_with_too_many_changes_is_refused(bed: Bed) {
    let store = bed.store();
    let changes = |count| (0..count).map(|_| event("x")).collect();
    assert!(matches!(write(&store, changes(MAX_CHANGES + 1)), Err(StoreError::TooLarge { limit: MAX_CHANGES, .. })));
    assert_eq!(write(&store, changes(MAX_CHANGES)).unwrap(), 1);
}

pub(super) fn a_record_has_the_store_s_revision_whatever_the_caller_says(bed: Bed) {
    let store = bed.store();
    let mut forged = host("h-1");
    forged.revision = 77;
    for expected in 1..=3 {
        write(&store, vec![Change::PutHost(Box::new(forged.clone()))]).unwrap();
        assert_eq!(store.host(&host_id("h-1")).unwrap().unwrap().revision, expected);
    }
}

pub(super) fn an_update_of_a_host_touches_only_its_fields(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutHost(Box::new(host("h-1")))]).unwrap();
    let update = |update| Change::UpdateHost { host: host_id("h-1"), update };
    let retired = HostState::Retired { at: NOW, by: alice() };
    let seen = HostUpdate::Seen { at: Timestamp(5), instance: "i1".parse().unwrap(), clock_offset_ms: 900 };
    write(&store, vec![update(HostUpdate::Labels(Labels::default())), update(HostUpdate::State(retired.clone())), update(seen)]).unwrap();
    write(&store, vec![update(HostUpdate::Replaces(host_id("h-0")))]).unwrap();
    let mut expected = host("h-1");
    expected.revision = 5;
    expected.labels = Labels::default();
    expected.state = retired;
    expected.last_seen = Some(Timestamp(5));
    expected.instance = Some("i1".parse().unwrap());
    expected.clock_offset_ms = 900;
    expected.replaces = Some(host_id("h-0"));
    assert_eq!(store.host(&host_id("h-1")).unwrap(), Some(expected));
}

pub(super) fn a_missing_record_is_named(bed: Bed) {
    let store = bed.store();
    let missing = |change, expected: &str| match write(&store, vec![change]) {
        Err(error @ StoreError::Missing { .. }) => assert_eq!(error.to_string(), expected),
        other => panic!("{expected}: {other:?}"),
    };
    missing(Change::UpdateHost { host: host_id("h-9"), update: HostUpdate::Labels(Labels::default()) }, "there is no host h-9");
    missing(Change::RevokeCertificate { serial: certificate("0c").serial, revocation: revocation("x") }, "there is no certificate 0c");
    let lift = Lift { by: alice(), reason: "fixed".into(), at: NOW };
    missing(Change::LiftQuarantine { key: quarantine("ssl", "o").key, lift }, "there is no quarantine ssl 2-1");
}

pub(super) fn a_token_is_used_until_its_limit_and_not_when_revoked(bed: Bed) {
    let store = bed.store();
    let mut revoked = token("t2", 5);
    revoked.revoked_at = Some(NOW);
    write(&store, vec![Change::PutToken(token("t1", 2)), Change::PutToken(revoked)]).unwrap();
    let use_token = |id| write(&store, vec![Change::UseToken(token_id(id))]);
    use_token("t1").unwrap();
    use_token("t1").unwrap();
    for id in ["t1", "t2", "t3"] {
        assert_eq!(failed_guard(use_token(id)), Guard::TokenUsable { token: token_id(id) });
    }
    assert_eq!(store.token(&token_id("t1")).unwrap().unwrap().uses, 2);
}

pub(super) fn halt_and_quarantine_raise_the_fleet_s_revision_and_nothing_else_does(bed: Bed) {
    let store = bed.store();
    let raised = |changes| {
        let before = store.fleet_revision().unwrap();
        write(&store, changes).unwrap();
        store.fleet_revision().unwrap() - before
    };
    assert_eq!(raised(vec![Change::SetHalt(halt(true))]), 1);
    assert_eq!(raised(vec![Change::PutQuarantine(Box::new(quarantine("ssl", "o")))]), 1);
    let lift = Lift { by: alice(), reason: "fixed".into(), at: NOW };
    assert_eq!(raised(vec![Change::LiftQuarantine { key: quarantine("ssl", "o").key, lift }]), 1);
    assert_eq!(raised(vec![Change::PutHost(Box::new(host("h-1"))), event("x")]), 0);
    let stale = Write::new(vec![event("x")]).when(Guard::FleetRevision { expected: 2 });
    assert_eq!(failed_guard(store.write(stale)), Guard::FleetRevision { expected: 2 });
    store.write(Write::new(vec![event("x")]).when(Guard::FleetRevision { expected: 3 })).unwrap();
}

pub(super) fn a_quarantine_is_lifted_and_stays_on_record(bed: Bed) {
    let store = bed.store();
    let mut record = quarantine("ssl", "Debian/stable");
    write(&store, vec![Change::PutQuarantine(Box::new(record.clone()))]).unwrap();
    assert_eq!(store.quarantined(&record.key).unwrap(), Some(record.clone()));
    let lift = Lift { by: alice(), reason: "fixed".into(), at: NOW };
    write(&store, vec![Change::LiftQuarantine { key: record.key.clone(), lift: lift.clone() }]).unwrap();
    record.lifted = Some(lift);
    assert_eq!(store.quarantine(None, 10).unwrap(), [record]);
}

fn revocation(reason: &str) -> Revocation {
    Revocation { at: NOW, reason: reason.into() }
}

pub(super) fn an_earlier_revocation_stands(bed: Bed) {
    let store = bed.store();
    let serial = certificate("0a").serial;
    let revoke = |reason| Change::RevokeCertificate { serial: serial.clone(), revocation: revocation(reason) };
    write(&store, vec![Change::PutCertificate(certificate("0a")), revoke("stolen")]).unwrap();
    write(&store, vec![revoke("again")]).unwrap();
    assert_eq!(store.certificate(&serial).unwrap().unwrap().revoked, Some(revocation("stolen")));
}

pub(super) fn older_revisions_of_a_policy_stay_readable(bed: Bed) {
    let store = bed.store();
    for toml in ["one", "two", "three"] {
        write(&store, vec![Change::PutPolicy(policy("web", toml))]).unwrap();
    }
    let name = PolicyName::parse("web").unwrap();
    let newest = store.policy(&name).unwrap().unwrap();
    assert_eq!((newest.revision, newest.toml.as_str()), (3, "three"));
    assert_eq!(store.policy_revision(&name, 2).unwrap().unwrap().toml, "two");
    assert_eq!(store.policy_revision(&name, 4).unwrap(), None);
    assert_eq!(store.policies(None, 10).unwrap(), [newest]);
}

pub(super) fn generations_are_never_given_twice(mut bed: Bed) {
    let first = bed.store().reserve_generations(3).unwrap();
    let store = if bed.kind == "memory" { bed.store() } else { bed.reopen() };
    let mut given: Vec<Generation> = first.chain(store.reserve_generations(2).unwrap()).collect();
    assert_eq!(store.raise_epoch(0).unwrap(), 2);
    assert_eq!(store.identity().unwrap().epoch, 2);
    given.extend(store.reserve_generations(2).unwrap());
    assert_eq!(store.raise_epoch(9).unwrap(), 10, "above an epoch that an agent has seen");
    given.extend(store.reserve_generations(1).unwrap());
    assert_eq!(given.len(), 8);
    assert!(given.is_sorted_by(|left, right| left < right), "{given:?}");
}

pub(super) fn every_guard_holds_and_fails_as_it_says(bed: Bed) {
    let store = bed.store();
    let generation = Generation { epoch: 1, counter: 1 };
    let setup = vec![
        Change::PutHost(Box::new(host("h-1"))),
        Change::PutToken(token("t1", 2)),
        Change::PutOperator(operator("bob")),
        Change::PutPolicy(policy("web", "x")),
        Change::AppendRollout { rollout: rollout_id("r-1"), expected: 0, records: vec![Bytes::from("a"), Bytes::from("b")] },
        Change::Claim { host: host_id("h-1"), rollout: rollout_id("r-1"), generation },
        Change::SetHalt(halt(false)),
    ];
    write(&store, setup).unwrap();
    let (h1, h2, r1, r2) = (host_id("h-1"), host_id("h-2"), rollout_id("r-1"), rollout_id("r-2"));
    let (bob, web) = (OperatorName::parse("bob").unwrap(), PolicyName::parse("web").unwrap());
    let holding = [
        Guard::RolloutRevision { rollout: r1.clone(), expected: 2 },
        Guard::RolloutRevision { rollout: r2.clone(), expected: 0 },
        Guard::Unclaimed { host: h2.clone() },
        Guard::ClaimedBy { host: h1.clone(), rollout: r1.clone() },
        Guard::Claimable { host: h1.clone(), rollout: r1.clone() },
        Guard::Claimable { host: h2.clone(), rollout: r2.clone() },
        Guard::FleetRevision { expected: 1 },
        Guard::TokenUses { token: token_id("t1"), expected: 0 },
        Guard::TokenUsable { token: token_id("t1") },
        Guard::HostRevision { host: h1.clone(), expected: 1 },
        Guard::HostRevision { host: h2.clone(), expected: 0 },
        Guard::OperatorRevision { operator: bob.clone(), expected: 1 },
        Guard::PolicyRevision { policy: web.clone(), expected: 1 },
    ];
    store.write(Write { changes: vec![event("all hold")], guards: holding.to_vec() }).unwrap();
    let failing = [
        Guard::RolloutRevision { rollout: r1.clone(), expected: 1 },
        Guard::Unclaimed { host: h1.clone() },
        Guard::ClaimedBy { host: h1.clone(), rollout: r2.clone() },
        Guard::ClaimedBy { host: h2.clone(), rollout: r1 },
        Guard::Claimable { host: h1.clone(), rollout: r2 },
        Guard::FleetRevision { expected: 0 },
        Guard::TokenUses { token: token_id("t1"), expected: 1 },
        Guard::TokenUsable { token: token_id("t9") },
        Guard::HostRevision { host: h1, expected: 0 },
        Guard::OperatorRevision { operator: bob, expected: 2 },
        Guard::PolicyRevision { policy: web, expected: 0 },
    ];
    for guard in failing {
        assert_eq!(failed_guard(store.write(Write::new(vec![event("lost")]).when(guard.clone()))), guard);
    }
    assert_eq!(store.last_event().unwrap(), 1);
}
