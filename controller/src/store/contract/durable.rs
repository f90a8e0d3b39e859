//! What is on disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;

use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, Store, StoreError, open};

/// One of everything that a store keeps.
pub(in crate::store) fn fill(store: &dyn Store) {
    let (web, set) = (inventory(&[("nginx", "1.22-1"), ("zlib1g", "1:1.2")]), candidates(&["nginx"]));
    let (inventory, candidates) = (Some(web.digest()), Some(set.digest()));
    let changes = vec![
        Change::PutHost(Box::new(host("h-1"))),
        Change::PutToken(token("t1", 3)),
        Change::UseToken(token_id("t1")),
        Change::PutOperator(operator("bob")),
        Change::PutPolicy(policy("web", "one")),
        Change::PutPolicy(policy("web", "two")),
        Change::AppendRollout { rollout: rollout_id("r-1"), expected: 0, records: vec![Bytes::from("a"), Bytes::from("b")] },
        Change::AppendRollout { rollout: rollout_id("r-1"), expected: 2, records: vec![Bytes::from("c")] },
        Change::PutRolloutSnapshot { rollout: rollout_id("r-1"), revision: 2, bytes: "state".into() },
        Change::PutPlan { rollout: rollout_id("r-1"), header: "plan".into(), segments: vec!["s0".into(), "s1".into()] },
        Change::PutRolloutHead(Box::new(head("r-1"))),
        Change::Claim { host: host_id("h-1"), rollout: rollout_id("r-1"), generation: patchwave_common::domain::Generation::default() },
        Change::PutInventory(web),
        Change::PutCandidates(set),
        Change::SetHostInventory { host: host_id("h-1"), inventory, candidates },
        Change::PutQuarantine(Box::new(quarantine("ssl", "Debian/stable"))),
        Change::SetHalt(halt(true)),
        Change::PutCertificate(certificate("ab01")),
        Change::AppendAudit(audit("init")),
        Change::AppendAudit(audit("start")),
        event("made"),
        Change::PutFeed(Box::new(feed("debian", 2))),
        Change::PutFeedSegment { feed: feed_name("debian"), generation: 2, index: 0, records: "packed".into() },
        Change::AppendFindings { host: host_id("h-1"), number: 0, at: NOW, transitions: "opened".into() },
        Change::AppendFindings { host: host_id("h-1"), number: 1, at: NOW, transitions: "closed".into() },
        Change::NoteFix(fix("nginx", 5)),
    ];
    store.write(crate::store::Write::new(changes)).unwrap();
}

/// Everything that can be read, as text, so that two stores can be compared.
pub(in crate::store) fn everything(store: &(impl crate::store::StoreRead + ?Sized)) -> crate::store::Result<Vec<String>> {
    let rollout = rollout_id("r-1");
    let mut all = vec![
        format!("{:?} {}", store.identity()?.store_id, store.revision()?),
        format!("{} {:?} {:?}", store.fleet_revision()?, store.halt()?, store.audit_end()?),
        format!("{:?}", store.tokens(None, 1_000)?),
        format!("{:?}", store.operators(None, 1_000)?),
        format!("{:?}", store.policies(None, 1_000)?),
        format!("{:?}", store.certificates(None, 1_000)?),
        format!("{:?}", store.rollouts(None, 1_000)?),
        format!("{:?} {:?}", store.rollout_revision(&rollout)?, store.rollout_snapshot(&rollout)?),
        format!("{:?} {:?}", store.plan_header(&rollout)?, store.plan_segment(&rollout, 1)?),
        format!("{:?} {:?}", store.claims(None, 1_000)?, store.quarantine(None, 1_000)?),
        format!("{:?} {}", store.audit(0, 1_000)?, store.last_event()?),
        format!("{:?} {:?}", store.feeds(None, 1_000)?, store.feed_segment(&feed_name("debian"), 2, 0)?),
        format!("{:?}", store.fixes(None, 1_000)?),
    ];
    for policy in store.policies(None, 1_000)? {
        for revision in 1..=policy.revision {
            all.push(format!("{:?}", store.policy_revision(&policy.name, revision)?));
        }
    }
    for from in (0..store.rollout_revision(&rollout)?).step_by(1_000) {
        all.push(format!("{:?}", store.rollout_log(&rollout, from, 1_000)?));
    }
    for host in store.hosts(None, 1_000)? {
        let inventory = host.inventory.map(|digest| store.inventory(&digest)).transpose()?;
        let candidates = host.candidates.map(|digest| store.candidates(&digest)).transpose()?;
        all.push(format!("{host:?} {inventory:?} {candidates:?}"));
        for entry in store.finding_log(&host.id, 0, 1_000)? {
            all.push(format!("{entry:?} {:?}", store.finding_batch(&entry.batch)?));
        }
    }
    let mut after = 0;
    loop {
        let events = store.events(after, 1_000)?;
        let Some(last) = events.last() else { return Ok(all) };
        after = last.sequence;
        all.push(format!("{events:?}"));
    }
}

pub(super) fn everything_is_there_after_reopening(mut bed: Bed) {
    let store = bed.store();
    fill(store.as_ref());
    let before = everything(store.as_ref()).unwrap();
    drop(store);
    let store = bed.reopen();
    assert_eq!(everything(store.as_ref()).unwrap(), before);
    store.verify().unwrap();
    assert_eq!(write(&store, vec![event("next")]).unwrap(), 2);
}

pub(super) fn a_second_opener_is_refused_and_named(mut bed: Bed) {
    let error = open(bed.kind, &bed.path()).map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { path } if *path == bed.path()), "{error:?}");
    assert!(error.to_string().contains("only one controller"), "{error}");
    let store = bed.store();
    write(&store, vec![event("the first goes on")]).unwrap();
    drop(store);
    bed.reopen();
}

pub(super) fn files_are_readable_by_their_owner_only(bed: Bed) {
    fill(bed.store().as_ref());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    if bed.path().is_dir() {
        assert_eq!(mode(&bed.path()), 0o700, "nobody else gets past the folder");
    } else {
        assert_eq!(mode(&bed.path()), 0o600);
    }
}

pub(super) fn a_large_value_survives_reopening(mut bed: Bed) {
    let state: Bytes = (0..6_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let change = Change::PutRolloutSnapshot { rollout: rollout_id("r-1"), revision: 1, bytes: state.clone() };
    write(&bed.store(), vec![change]).unwrap();
    let store = bed.reopen();
    assert!(store.rollout_snapshot(&rollout_id("r-1")).unwrap() == Some((1, state)));
}
