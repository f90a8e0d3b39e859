//! Backup and restore: the store and the authority's files, together.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context as _;
use patchwave_common::domain::Timestamp;

use super::{ControllerSettings, pki_dir, refuse_existing, settings, store_path};
use crate::pki::PkiFiles;
use crate::store::{Store, backup};

/// Writes a consistent copy of everything, while the controller goes on.
pub fn write_backup(store: &dyn Store, pki: &PkiFiles, at: Timestamp, writer: &mut dyn Write) -> anyhow::Result<()> {
    let attachments = pki.attachments().context("reading the authority")?;
    backup::backup(store, &attachments, at, writer).context("copying the store")?;
    Ok(())
}

/// Makes a state directory from a backup and raises the epoch, so that agents refuse whatever the lost controller had ordered. The store
/// takes its place last: a directory without it was interrupted.
pub fn restore(reader: &mut dyn Read, state_dir: &Path, kind: &str, names: &[String], listen: std::net::SocketAddr) -> anyhow::Result<u32> {
    refuse_existing(state_dir)?;
    patchwave_common::runtime::atomic_file::private_directory(state_dir)?;
    let restored = backup::restore(reader, kind, &store_path(state_dir, kind)).context("restoring the store")?;
    let epoch = restored.epoch;
    if let Some(broken) = &restored.audit_break {
        tracing::warn!(%broken, "the audit log in the backup does not hold");
    }
    PkiFiles::new(&pki_dir(state_dir)).restore(restored.attachments()).context("restoring the authority")?;
    settings::write(state_dir, names, listen, kind)?;
    ControllerSettings::of_state_dir(state_dir)?;
    restored.finish()?;
    Ok(epoch)
}
