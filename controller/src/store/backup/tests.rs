#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::*;
use crate::records::{AuditBreak, AuditRecord};
use crate::store::contract::durable::{everything, fill};
use crate::store::testing::*;
use crate::store::{Change, StoreError, Write as StoreWrite, open, open_memory};

fn attachments() -> Vec<Attachment> {
    vec![("authority.key".into(), b"secret".to_vec()), ("authority.pem".into(), vec![0; 5_000])]
}

fn backup_of(store: &dyn Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let summary = backup(store, &attachments(), NOW, &mut bytes).unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    bytes
}

/// Restores into a new folder and opens the result.
fn restored(bytes: &[u8], kind: &str) -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let restore = restore(&mut &*bytes, kind, &path).unwrap();
    assert_eq!(restore.attachments(), attachments());
    restore.finish().unwrap();
    assert_eq!(names_in(folder.path()), [PathBuf::from("store")], "nothing else is left behind");
    let store = open(kind, &path).unwrap();
    (folder, store)
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
}

/// More than one page of everything that grows.
fn fill_pages(store: &dyn Store) {
    fill(store);
    let hosts = (0..1_500).map(|number| Change::PutHost(Box::new(host(&format!("x-{number}")))));
    store.write(StoreWrite::new(hosts.collect())).unwrap();
    let records: Vec<Bytes> = (0..2_500).map(|number| Bytes::from(format!("record {number}"))).collect();
    let mut changes = vec![Change::AppendRollout { rollout: rollout_id("r-1"), expected: 3, records }];
    changes.extend((0..1_200).flat_map(|number| [event(&number.to_string()), Change::AppendAudit(audit("many"))]));
    changes.push(Change::PutPlan { rollout: rollout_id("r-planned"), header: "only planned".into(), segments: vec!["s".into()] });
    store.write(StoreWrite::new(changes)).unwrap();
}

#[test]
fn a_backup_of_any_kind_restores_into_any_kind_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for from in ["memory", "redb", "sled"] {
        let store = open(from, &folder.path().join(from)).unwrap();
        fill_pages(store.as_ref());
        store.reserve_generations(5).unwrap();
        let bytes = backup_of(store.as_ref());
        for into in ["redb", "sled"] {
            let (_folder, copy) = restored(&bytes, into);
            assert!(everything(copy.as_ref()).unwrap() == everything(store.as_ref()).unwrap(), "{from} into {into}");
            assert_eq!(copy.rollout_ids(None, 10).unwrap(), [rollout_id("r-1"), rollout_id("r-planned")]);
            assert_eq!(copy.package_rows(0, 10).unwrap(), store.package_rows(0, 10).unwrap(), "durable ids stay");
            copy.verify().unwrap();
            assert!(backup_of(copy.as_ref()).len() == bytes.len(), "a backup of the copy is as long");
        }
    }
}

#[test]
fn a_restored_store_goes_on_with_newer_generations_and_the_next_numbers() {
    let store = open_memory().unwrap();
    fill(store.as_ref());
    let bytes = backup_of(store.as_ref());
    // What the lost controller still gave out after its backup.
    let lost = store.reserve_generations(1_000).unwrap().last().unwrap();
    let (_folder, copy) = restored(&bytes, "redb");
    assert!(copy.reserve_generations(1).unwrap().next().unwrap() > lost);
    let identity = copy.identity().unwrap();
    assert_eq!((identity.store_id, identity.epoch), (store.identity().unwrap().store_id, 2));
    assert_eq!(copy.write(StoreWrite::new(vec![event("next"), Change::AppendAudit(audit("next"))])).unwrap(), 2);
    assert_eq!(copy.last_event().unwrap(), 2);
    let web = inventory(&[("nginx", "1.22-1"), ("vim", "9")]);
    copy.write(StoreWrite::new(vec![Change::PutInventory(web.clone())])).unwrap();
    assert_eq!(copy.package_rows(0, 10).unwrap().len(), 3, "known package versions keep their ids, new ones get the next");
    assert_eq!(copy.inventory(&web.digest()).unwrap().as_ref(), Some(web.as_ref()));
    copy.verify().unwrap();
}

#[test]
fn an_existing_store_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = backup_of(open_memory().unwrap().as_ref());
    for kind in ["redb", "sled"] {
        let path = folder.path().join(kind);
        std::fs::write(&path, "something").unwrap();
        let error = restore(&mut bytes.as_slice(), kind, &path).unwrap_err();
        assert!(matches!(error, BackupError::Store(StoreError::Exists { .. })), "{error:?}");
        std::fs::remove_file(&path).unwrap();
        let late = restore(&mut bytes.as_slice(), kind, &path).unwrap();
        std::fs::write(&path, "made meanwhile").unwrap();
        let error = late.finish().unwrap_err();
        assert!(matches!(error, BackupError::Store(StoreError::Exists { .. })), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "made meanwhile");
    }
    let error = restore(&mut bytes.as_slice(), "memory", &folder.path().join("memory")).unwrap_err();
    assert!(matches!(error, BackupError::NotOnDisk { .. }));
}

#[test]
fn a_cut_or_changed_backup_is_refused_and_leaves_nothing() {
    let store = open_memory().unwrap();
    fill(store.as_ref());
    let bytes = backup_of(store.as_ref());
    verify_backup(&mut bytes.as_slice()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let try_all = |bytes: &[u8], what: String| {
        assert!(verify_backup(&mut &*bytes).is_err(), "{what}");
        // Restoring opens files, so only some are tried.
        if what.ends_with('7') {
            assert!(restore(&mut &*bytes, "redb", &path).is_err(), "{what}");
            assert_eq!(names_in(folder.path()), Vec::<PathBuf>::new(), "{what}");
        }
    };
    for cut in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
        try_all(&bytes[..cut], format!("cut at {cut}"));
    }
    for at in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        try_all(&changed, format!("changed at {at}"));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    try_all(&longer, "longer".into());
    drop(restore(&mut bytes.as_slice(), "redb", &path).unwrap());
    assert_eq!(names_in(folder.path()), Vec::<PathBuf>::new(), "an unfinished restore leaves nothing");
}

#[test]
fn a_missing_record_is_noticed_although_every_frame_is_whole() {
    let store = open_memory().unwrap();
    fill(store.as_ref());
    let whole = backup_of(store.as_ref());
    let mut frames = Vec::new();
    let mut at = MAGIC.len() + 4;
    while at < whole.len() {
        let length = u32::from_be_bytes(whole[at + 1..at + 5].try_into().unwrap()) as usize;
        frames.push(at..at + length + 9);
        at += length + 9;
    }
    for dropped in &frames {
        let shorter = [&whole[..dropped.start], &whole[dropped.end..]].concat();
        assert!(verify_backup(&mut shorter.as_slice()).is_err());
    }
}

#[test]
fn a_backup_during_writes_shows_one_instant() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["redb", "sled"] {
        let store = open(kind, &folder.path().join(kind)).unwrap();
        let done = AtomicBool::new(false);
        let backups = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0.. {
                    let changes =
                        vec![event("e"), Change::PutHost(Box::new(host(&format!("h-{number}")))), Change::AppendAudit(audit("a"))];
                    store.write(StoreWrite::new(changes)).unwrap();
                    if done.load(Ordering::SeqCst) && number > 20 {
                        break;
                    }
                }
            });
            let backups: Vec<_> = (0..4).map(|_| backup_of(store.as_ref())).collect();
            done.store(true, Ordering::SeqCst);
            backups
        });
        for bytes in backups {
            let (_folder, copy) = restored(&bytes, "redb");
            let revision = copy.revision().unwrap();
            assert_eq!((copy.last_event().unwrap(), copy.audit_end().unwrap().0), (revision, revision));
            let mut hosts = 0;
            let mut page = copy.hosts(None, 1_000).unwrap();
            while let Some(last) = page.last().cloned() {
                hosts += page.len() as u64;
                page = copy.hosts(Some(&last.id), 1_000).unwrap();
            }
            assert_eq!(hosts, revision);
        }
    }
}

#[test]
fn a_backup_file_is_for_its_owner_only_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("today.backup");
    let store = open_memory().unwrap();
    fill(store.as_ref());
    let summary = backup_to_file(store.as_ref(), &attachments(), NOW, &path).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.len()), (0o600, summary.bytes));
    assert_eq!(verify_backup(&mut std::fs::File::open(&path).unwrap()).unwrap(), summary);
    assert!(matches!(backup_to_file(store.as_ref(), &[], NOW, &path), Err(BackupError::Exists { .. })));
    assert_eq!(names_in(folder.path()).len(), 1);
}

#[test]
fn a_file_with_a_path_for_a_name_is_no_attachment() {
    let store = open_memory().unwrap();
    for name in ["", ".", "..", "../passwd", "/etc/passwd", "a/b", ".hidden", "a b", "a\0"] {
        let error = backup(store.as_ref(), &[(name.into(), vec![])], NOW, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, BackupError::Attachment { .. }), "{name:?}");
    }
    let large = vec![0; MAX_ATTACHMENT_BYTES + 1];
    assert!(backup(store.as_ref(), &[("large".into(), large)], NOW, &mut Vec::new()).is_err());
}

#[test]
fn a_broken_audit_chain_is_told_and_does_not_stop_a_restore() {
    let store = open_memory().unwrap();
    fill(store.as_ref());
    let mut second: AuditRecord = store.audit(1, 1).unwrap().remove(0);
    second.entry.detail = "forged".into();
    store.import(vec![Entry::Audit(Box::new(second))]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let restore = restore(&mut backup_of(store.as_ref()).as_slice(), "redb", &folder.path().join("store")).unwrap();
    assert_eq!(restore.audit_break, Some(AuditBreak::Changed { sequence: 2 }));
}
