//! Backup and restore: the store, the authority's files and the settings, together.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::atomic_file::{self, SMALL_FILE_MAX_BYTES};

use super::{SETTINGS_FILE, pki_dir, refuse_existing, settings, store_path};
use crate::pki::{PkiFiles, ServerNames};
use crate::records::{Actor, AuditEntry, AuditOutcome};
use crate::store::backup::{Attachment, BackupSummary};
use crate::store::{self, Change, Store};

/// What `restore` is asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest<'a> {
    /// The directory to make.
    pub state_dir: &'a Path,
    /// Kind of store to make.
    pub store: &'a str,
    /// Names under which the controller will be reached; those of the backup where there are none.
    pub names: &'a [String],
    /// Where it will listen.
    pub listen: SocketAddr,
}

/// Writes a consistent copy of everything in a state directory, while the controller goes on. Fragments of the settings are not in it.
pub fn write_backup(store: &dyn Store, state_dir: &Path, now: Timestamp, writer: &mut dyn Write) -> anyhow::Result<BackupSummary> {
    let mut attachments = PkiFiles::new(&pki_dir(state_dir)).attachments().context("reading the authority")?;
    let settings = atomic_file::read_bounded(&state_dir.join(SETTINGS_FILE), SMALL_FILE_MAX_BYTES).context("reading the settings")?;
    attachments.push((SETTINGS_FILE.to_owned(), settings));
    Ok(store::backup::backup(store, &attachments, now, writer)?)
}

/// Makes a state directory from a backup and raises the epoch, so that agents refuse whatever the lost controller had ordered. Gives the
/// new epoch. Where it fails, nothing of the backup stays.
pub fn restore(reader: &mut dyn Read, request: &RestoreRequest<'_>, now: Timestamp) -> anyhow::Result<u32> {
    if !request.names.is_empty() {
        ServerNames::parse(request.names)?;
    }
    refuse_existing(request.state_dir)?;
    atomic_file::private_directory(request.state_dir)?;
    let result = restore_into(reader, request, now);
    if result.is_err() {
        empty(request.state_dir);
    }
    result
}

/// Removes what a failed restore left in a directory that was empty before; it may hold keys. The directory itself may be somebody else's.
fn empty(state_dir: &Path) {
    for entry in std::fs::read_dir(state_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "what the failed restore left could not be removed");
        }
    }
}

fn restore_into(reader: &mut dyn Read, request: &RestoreRequest<'_>, now: Timestamp) -> anyhow::Result<u32> {
    let path = store_path(request.state_dir, request.store);
    let restore = store::backup::restore(reader, request.store, &path)?;
    let is_settings = |(name, _): &&Attachment| name == SETTINGS_FILE;
    let settings_then = restore.attachments().iter().find(is_settings).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let authority: Vec<Attachment> = restore.attachments().iter().filter(|attachment| !is_settings(attachment)).cloned().collect();
    let text = settings::restored(settings_then.as_deref(), request)?;
    PkiFiles::new(&pki_dir(request.state_dir)).restore(&authority).context("bringing back the authority")?;
    let (epoch, summary, audit_break) = (restore.epoch, restore.summary.clone(), restore.audit_break.clone());
    restore.finish()?;
    let detail = format!("backup of {} at store revision {}; the epoch is {epoch}", summary.made_at, summary.revision);
    let detail = audit_break.map_or_else(|| detail.clone(), |found| format!("{detail}; the audit log does not hold: {found}"));
    let (actor, outcome, subject) = (Actor::Local, AuditOutcome::Done, String::new());
    let entry = AuditEntry { at: now, actor, action: "restore".into(), subject, outcome, detail };
    store::open(request.store, &path)?.write(store::Write::new(vec![Change::AppendAudit(entry)]))?;
    // The settings come last: a directory without them was interrupted, and serve says so.
    atomic_file::write(&request.state_dir.join(SETTINGS_FILE), text.as_bytes(), atomic_file::MODE_SECRET)?;
    Ok(epoch)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::setup::{ControllerSettings, InitRequest, init};
    use crate::store::StoreError;
    use crate::store::backup::BackupError;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    /// A state directory with a changed setting, and its backup.
    fn backed_up(folder: &Path) -> Vec<u8> {
        let state_dir = folder.join("lost");
        let request = InitRequest {
            state_dir: state_dir.clone(),
            trust_domain: "fleet.example".into(),
            names: vec!["patchwave.example".into()],
            listen: "0.0.0.0:7443".parse().unwrap(),
            operator: "alice".parse().unwrap(),
            store: "sled".into(),
        };
        init(&request, NOW).unwrap();
        let mut settings = std::fs::read_to_string(state_dir.join(SETTINGS_FILE)).unwrap();
        settings.push_str("heartbeat = \"7s\"\n");
        std::fs::write(state_dir.join(SETTINGS_FILE), settings).unwrap();
        let store = store::open("sled", &store_path(&state_dir, "sled")).unwrap();
        let mut bytes = Vec::new();
        write_backup(store.as_ref(), &state_dir, NOW, &mut bytes).unwrap();
        bytes
    }

    fn request<'a>(state_dir: &'a Path, names: &'a [String]) -> RestoreRequest<'a> {
        RestoreRequest { state_dir, store: "redb", names, listen: "127.0.0.1:9000".parse().unwrap() }
    }

    #[test]
    fn a_restored_state_directory_has_authority_operators_settings_and_a_newer_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = backed_up(folder.path());
        let state_dir = folder.path().join("new");
        assert_eq!(restore(&mut bytes.as_slice(), &request(&state_dir, &[]), NOW).unwrap(), 2);
        let fingerprint = |state_dir: &Path| PkiFiles::new(&pki_dir(state_dir)).load().unwrap().fingerprint();
        assert_eq!(fingerprint(&state_dir), fingerprint(&folder.path().join("lost")));
        let settings = ControllerSettings::of_state_dir(&state_dir).unwrap();
        assert_eq!((settings.names, settings.store.as_str(), settings.listen.port()), (vec!["patchwave.example".to_owned()], "redb", 9000));
        assert_eq!(settings.app.heartbeat.as_secs(), 7, "what was set before is set again");
        let store = store::open("redb", &store_path(&state_dir, "redb")).unwrap();
        assert_eq!(store.operators(None, 10).unwrap().len(), 1);
        let audit = store.audit(0, 10).unwrap();
        assert_eq!(audit.iter().map(|record| record.entry.action.as_str()).collect::<Vec<_>>(), ["init", "restore"]);
    }

    #[test]
    fn other_names_can_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = backed_up(folder.path());
        let state_dir = folder.path().join("new");
        restore(&mut bytes.as_slice(), &request(&state_dir, &["other.example".into()]), NOW).unwrap();
        assert_eq!(ControllerSettings::of_state_dir(&state_dir).unwrap().names, ["other.example"]);
    }

    #[test]
    fn a_failed_restore_leaves_an_empty_directory_and_an_existing_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = backed_up(folder.path());
        let state_dir = folder.path().join("new");
        let error = restore(&mut &bytes[..bytes.len() - 1], &request(&state_dir, &[]), NOW).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(BackupError::CutOff { .. })), "{error:#}");
        assert_eq!(std::fs::read_dir(&state_dir).unwrap().count(), 0);
        restore(&mut bytes.as_slice(), &request(&state_dir, &[]), NOW).unwrap();
        let error = restore(&mut bytes.as_slice(), &request(&state_dir, &[]), NOW).unwrap_err();
        assert!(error.downcast_ref::<StoreError>().is_none() && error.to_string().contains("not empty"), "{error:#}");
    }
}
