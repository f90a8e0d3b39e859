//! A backup that release 0.1.0 wrote: every later release restores it with all that it holds.
//!
//! The file is never written anew. When a record gets a new field, this test says that an old record without it can still be read.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use patchwave_common::domain::{HostMode, PolicyName};

use super::{restore, verify_backup};
use crate::records::{Actor, AuditRecord, HostState, OperatorRole, Subject, verify_audit_chain};
use crate::store::testing::*;
use crate::store::{StoreRead, open};

const GOLDEN: &[u8] = include_bytes!("golden-0.1.0.backup");

#[test]
fn the_golden_backup_is_whole() {
    let summary = verify_backup(&mut &*GOLDEN).unwrap();
    assert_eq!((summary.release.as_str(), summary.made_at, summary.revision, summary.epoch), ("0.1.0", NOW, 1, 1));
}

#[test]
fn the_golden_backup_restores_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let restore = restore(&mut &*GOLDEN, "redb", &path).unwrap();
    assert_eq!(restore.attachments(), [("authority.key".to_owned(), b"not a real key".to_vec())]);
    assert_eq!((restore.epoch, &restore.audit_break), (2, &None));
    restore.finish().unwrap();
    let store = open("redb", &path).unwrap();
    fleet_is_there(store.as_ref());
    rollout_is_there(store.as_ref());
}

fn fleet_is_there(store: &(impl StoreRead + ?Sized)) {
    let host = store.host(&host_id("h-1")).unwrap().unwrap();
    assert_eq!(
        (host.mode, host.state, host.labels.get("ring"), host.clock_offset_ms),
        (HostMode::Managed, HostState::Active, Some("test"), -3)
    );
    assert_eq!((host.facts.hostname.as_str(), host.facts.hold.as_deref()), ("h-1.example", Some("why")));
    let inventory_digest = host.inventory.unwrap();
    let inventory = store.inventory(&inventory_digest).unwrap().unwrap();
    assert_eq!((inventory.len(), inventory.digest()), (2, inventory_digest));
    let candidates = store.candidates(&host.candidates.unwrap()).unwrap().unwrap();
    assert_eq!(candidates.digest(), host.candidates.unwrap());
    let token = store.token(&token_id("t1")).unwrap().unwrap();
    assert_eq!((token.uses, token.uses_limit, token.created_by), (1, 3, Actor::Local));
    let operators = store.operators(None, 10).unwrap();
    assert_eq!((operators[0].name.as_str(), operators[0].role, operators[0].certificates.len()), ("bob", OperatorRole::Approver, 2));
    let policy = PolicyName::parse("web").unwrap();
    assert_eq!(store.policy(&policy).unwrap().unwrap().toml, "two");
    assert_eq!(store.policy_revision(&policy, 1).unwrap().unwrap().toml, "one");
    assert_eq!(store.certificates(None, 10).unwrap()[0].subject, Subject::Host(host_id("h-1")));
    assert_eq!(store.quarantine(None, 10).unwrap(), [quarantine("ssl", "Debian/stable")]);
    assert_eq!((store.halt().unwrap(), store.fleet_revision().unwrap()), (Some(halt(true)), 2));
    let audit = store.audit(0, 10).unwrap();
    assert_eq!(verify_audit_chain((0, AuditRecord::START), &audit), Ok(store.audit_end().unwrap()), "the chain's form never changes");
    assert_eq!((audit.len(), store.events(0, 10).unwrap()[0].event.text.as_str()), (2, "made"));
}

fn rollout_is_there(store: &(impl StoreRead + ?Sized)) {
    let id = rollout_id("r-1");
    assert_eq!(store.rollout_log(&id, 0, 10).unwrap(), ["a", "b", "c"].map(Bytes::from));
    assert_eq!(store.rollout_snapshot(&id).unwrap(), Some((2, Bytes::from("state"))));
    assert_eq!(store.plan_header(&id).unwrap(), Some(Bytes::from("plan")));
    assert_eq!(store.plan_segment(&id, 1).unwrap(), Some(Bytes::from("s1")));
    assert_eq!(store.rollout(&id).unwrap().unwrap().counts["pending"], 9);
    assert_eq!(store.claim(&host_id("h-1")).unwrap().unwrap().rollout, id);
}
