//! Pages, logs and snapshots.

use bytes::Bytes;
use patchwave_common::domain::Generation;

use super::{Bed, failed_guard, write};
use crate::records::{AuditRecord, HostRecord, verify_audit_chain};
use crate::store::testing::*;
use crate::store::{Change, Guard, MAX_PAGE, StoreError};

pub(super) fn a_new_store_is_empty_and_whole(bed: Bed) {
    let store = bed.store();
    assert_eq!(store.identity().unwrap().epoch, 1);
    assert_eq!((store.revision().unwrap(), store.fleet_revision().unwrap(), store.last_event().unwrap()), (0, 0, 0));
    assert_eq!(store.audit_end().unwrap(), (0, AuditRecord::START));
    assert_eq!(store.hosts(None, 10).unwrap(), []);
    assert_eq!(store.rollout_log(&rollout_id("r-1"), 0, 10).unwrap(), Vec::<Bytes>::new());
    assert_eq!(store.plan_header(&rollout_id("r-1")).unwrap(), None);
    store.verify().unwrap();
    assert_ne!(store.identity().unwrap().store_id, Bed::new(bed.kind).store().identity().unwrap().store_id);
}

pub(super) fn pages_are_ordered_bounded_and_complete(bed: Bed) {
    let store = bed.store();
    let ids: Vec<String> = (0..2_500).map(|number| format!("h-{:x}", number * 7_919 % 2_500)).collect();
    for some in ids.chunks(1_000) {
        write(&store, some.iter().map(|id| Change::PutHost(Box::new(host(id)))).collect()).unwrap();
    }
    let mut expected = ids;
    expected.sort();
    for limit in [1_000, 999, usize::MAX] {
        let (mut found, mut pages): (Vec<HostRecord>, usize) = (Vec::new(), 0);
        loop {
            let page = store.hosts(found.last().map(|host| &host.id), limit).unwrap();
            assert!(page.len() <= limit.min(MAX_PAGE));
            pages += 1;
            let last = page.len() < limit.min(MAX_PAGE);
            found.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(found.iter().map(|host| host.id.as_str()).collect::<Vec<_>>(), expected, "limit {limit}");
        assert_eq!(pages, 3, "limit {limit}");
    }
    assert_eq!(store.hosts(None, 0).unwrap(), []);
    assert_eq!(store.hosts(Some(&host_id("zzz")), 10).unwrap(), []);
}

pub(super) fn keys_that_begin_alike_do_not_mix(bed: Bed) {
    let store = bed.store();
    for (number, id) in ["r", "r-1", "r-10", "r-1-0"].into_iter().enumerate() {
        let records = (0..=number).map(|record| Bytes::from(format!("{id} {record}"))).collect();
        let plan = Change::PutPlan { rollout: rollout_id(id), header: Bytes::from(id), segments: vec![Bytes::from(format!("{id} 0"))] };
        let generation = Generation::default();
        let claim = Change::Claim { host: host_id(id), rollout: rollout_id(id), generation };
        write(&store, vec![Change::AppendRollout { rollout: rollout_id(id), expected: 0, records }, plan, claim]).unwrap();
    }
    for (number, id) in ["r", "r-1", "r-10", "r-1-0"].into_iter().enumerate() {
        let expected: Vec<Bytes> = (0..=number).map(|record| Bytes::from(format!("{id} {record}"))).collect();
        assert_eq!(store.rollout_log(&rollout_id(id), 0, 100).unwrap(), expected);
        assert_eq!(store.plan_segment(&rollout_id(id), 0).unwrap(), Some(Bytes::from(format!("{id} 0"))));
        assert_eq!(store.plan_segment(&rollout_id(id), 1).unwrap(), None);
    }
    let held: Vec<String> = store.claims(Some(&host_id("r-1")), 10).unwrap().iter().map(|claim| claim.host.to_string()).collect();
    assert_eq!(held, ["r-1-0", "r-10"]);
    for (source, origin) in [("a", "o"), ("a", "o\0p"), ("b", "o"), ("a-b", "")] {
        write(&store, vec![Change::PutQuarantine(Box::new(quarantine(source, origin)))]).unwrap();
    }
    let mut after = None;
    for count in 0..5 {
        let page = store.quarantine(after.as_ref(), 1).unwrap();
        assert_eq!(page.len(), usize::from(count < 4));
        after = page.into_iter().next().map(|record| record.key);
    }
}

pub(super) fn a_rollout_s_log_reads_from_any_record(bed: Bed) {
    let store = bed.store();
    let id = rollout_id("r-1");
    let mut all: Vec<Bytes> = Vec::new();
    for size in [1, 7, 1, 300, 2, 900, 1] {
        let records: Vec<Bytes> = (0..size).map(|number| Bytes::from(format!("{}", all.len() + number))).collect();
        let expected = all.len() as u64;
        write(&store, vec![Change::AppendRollout { rollout: id.clone(), expected, records: records.clone() }]).unwrap();
        all.extend(records);
    }
    assert_eq!(store.rollout_revision(&id).unwrap(), all.len() as u64);
    for from in [0, 1, 2, 7, 8, 9, 300, 310, 311, 1_210, 1_211, 1_212, 5_000] {
        for limit in [1, 2, 299, 1_000, 5_000] {
            let expected: Vec<Bytes> = all.iter().skip(from).take(limit.min(MAX_PAGE)).cloned().collect();
            assert_eq!(store.rollout_log(&id, from as u64, limit).unwrap(), expected, "from {from}, limit {limit}");
        }
    }
}

pub(super) fn a_rollout_s_log_takes_records_only_at_its_end(bed: Bed) {
    let store = bed.store();
    let append = |expected, count: usize| {
        let records = (0..count).map(|number| Bytes::from(format!("{number}"))).collect();
        write(&store, vec![Change::AppendRollout { rollout: rollout_id("r-1"), expected, records }])
    };
    append(0, 3).unwrap();
    for expected in [0, 2, 4] {
        assert_eq!(failed_guard(append(expected, 1)), Guard::RolloutRevision { rollout: rollout_id("r-1"), expected });
    }
    append(3, 0).unwrap();
    append(3, 1).unwrap();
    assert_eq!(store.rollout_revision(&rollout_id("r-1")).unwrap(), 4);
    let snapshot = |revision, bytes: &'static str| Change::PutRolloutSnapshot { rollout: rollout_id("r-1"), revision, bytes: bytes.into() };
    write(&store, vec![snapshot(2, "older")]).unwrap();
    write(&store, vec![snapshot(4, "newer")]).unwrap();
    assert_eq!(store.rollout_snapshot(&rollout_id("r-1")).unwrap(), Some((4, Bytes::from("newer"))));
}

pub(super) fn a_plan_never_changes(bed: Bed) {
    let store = bed.store();
    let put = |header: &'static str| {
        let segments = vec![Bytes::from("s0"), Bytes::from("s1")];
        write(&store, vec![Change::PutPlan { rollout: rollout_id("r-1"), header: header.into(), segments }])
    };
    put("plan").unwrap();
    assert!(matches!(put("other"), Err(StoreError::AlreadyThere { .. })));
    assert_eq!(store.plan_header(&rollout_id("r-1")).unwrap(), Some(Bytes::from("plan")));
    assert_eq!(store.plan_segment(&rollout_id("r-1"), 1).unwrap(), Some(Bytes::from("s1")));
    assert_eq!(store.plan_segment(&rollout_id("r-1"), 2).unwrap(), None);
}

pub(super) fn events_and_audit_are_numbered_and_the_audit_chain_holds(bed: Bed) {
    let store = bed.store();
    for number in 0..6 {
        write(&store, vec![event(&number.to_string()), Change::AppendAudit(audit("a")), event("and"), Change::AppendAudit(audit("b"))])
            .unwrap();
    }
    let events = store.events(3, 4).unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert_eq!(events[1].event.text, "2");
    assert_eq!((store.last_event().unwrap(), store.events(12, 10).unwrap().len()), (12, 0));
    let mut end = (0, AuditRecord::START);
    loop {
        let page = store.audit(end.0, 5).unwrap();
        end = verify_audit_chain(end, &page).unwrap();
        if page.len() < 5 {
            break;
        }
    }
    assert_eq!((end.0, end), (12, store.audit_end().unwrap()));
}

pub(super) fn a_snapshot_does_not_see_later_writes(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutHost(Box::new(host("h-1"))), event("before")]).unwrap();
    let snapshot = store.snapshot().unwrap();
    write(&store, vec![Change::PutHost(Box::new(host("h-1"))), Change::PutHost(Box::new(host("h-2"))), event("after")]).unwrap();
    assert_eq!((snapshot.revision().unwrap(), snapshot.hosts(None, 10).unwrap().len()), (1, 1));
    assert_eq!(snapshot.host(&host_id("h-1")).unwrap().unwrap().revision, 1);
    assert_eq!(snapshot.events(0, 10).unwrap().len(), 1);
    assert_eq!((store.revision().unwrap(), store.hosts(None, 10).unwrap().len()), (2, 2));
}
