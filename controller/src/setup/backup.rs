//! Backup and restore: the store and the authority's files, together.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context as _;

use super::{ControllerSettings, pki_dir, refuse_existing, settings, store_path};
use crate::pki::PkiFiles;
use crate::store::{self, Store};

/// The settings' name among the attachments.
const SETTINGS_ATTACHMENT: &str = "controller.toml";

/// Writes a consistent copy of everything, while the controller goes on.
pub fn write_backup(store: &dyn Store, pki: &PkiFiles, writer: &mut dyn Write) -> anyhow::Result<()> {
    let attachments = pki.attachments().context("reading the authority")?;
    store::write_backup(store, &attachments, writer).context("copying the store")?;
    Ok(())
}

/// Makes a state directory from a backup and raises the epoch, so that agents refuse whatever the lost controller had ordered.
pub fn restore(reader: &mut dyn Read, state_dir: &Path, kind: &str, names: &[String], listen: std::net::SocketAddr) -> anyhow::Result<u32> {
    refuse_existing(state_dir)?;
    patchwave_common::runtime::atomic_file::private_directory(state_dir)?;
    let restored = store::restore_backup(reader, kind, &store_path(state_dir, kind)).context("restoring the store")?;
    let pki: Vec<_> = restored.attachments.into_iter().filter(|(name, _)| name != SETTINGS_ATTACHMENT).collect();
    PkiFiles::new(&pki_dir(state_dir)).restore(&pki).context("restoring the authority")?;
    settings::write(state_dir, names, listen, kind)?;
    // Proves that the result can be served before it is called one.
    ControllerSettings::of_state_dir(state_dir)?;
    Ok(restored.epoch)
}
