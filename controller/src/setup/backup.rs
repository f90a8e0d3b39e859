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
    let _ = (store, attachments, writer);
    anyhow::bail!("backups are not there yet")
}

/// Makes a state directory from a backup and raises the epoch, so that agents refuse whatever the lost controller had ordered.
pub fn restore(reader: &mut dyn Read, state_dir: &Path, kind: &str, names: &[String], listen: std::net::SocketAddr) -> anyhow::Result<u32> {
    let _ = (reader, state_dir, kind, names, listen);
    anyhow::bail!("backups are not there yet")
}
