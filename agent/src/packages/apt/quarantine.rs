//! Quarantine on the host itself (rule 13): a file of negative pins that apt obeys, whoever calls it. Reversible: no key, no file.
//!
//! A pin names source and version; apt has no pin of version and origin together, so the same version from another origin is refused
//! too. Which keys are in force is kept beside it, since a refusal is to say `quarantined`, not `pinned`.

use std::path::PathBuf;

use patchwave_common::domain::{Manager, PackageTarget, QuarantineKey};
use patchwave_common::runtime::atomic_file;

use super::layout::Layout;
use crate::packages::PackageError;

/// Bound on the list of keys: 10,000 of about 200 bytes.
const KEYS_MAX_BYTES: u64 = 2 * 1024 * 1024;

fn pins(layout: &Layout) -> PathBuf {
    layout.etc().join("preferences.d/patchwave-quarantine.pref")
}

fn keys_file(layout: &Layout) -> PathBuf {
    layout.state_dir.join("quarantine.json")
}

/// The keys in force.
pub(crate) fn read(layout: &Layout) -> Result<Vec<QuarantineKey>, PackageError> {
    let path = keys_file(layout);
    let json = match atomic_file::read_bounded(&path, KEYS_MAX_BYTES) {
        Ok(json) => json,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&json).map_err(|error| PackageError::Damaged {
        path,
        detail: error.to_string(),
        hint: "delete it: the controller tells the keys again",
    })
}

/// Replaces the keys in force. The pins come first: a crash in between leaves apt refusing, never Patchwave alone.
pub(crate) fn set(layout: &Layout, keys: &[QuarantineKey]) -> Result<(), PackageError> {
    let mut keys: Vec<_> = keys.iter().filter(|key| key.manager == Manager::Dpkg).cloned().collect();
    keys.sort();
    keys.dedup();
    let wanted = pin_text(&keys);
    let path = pins(layout);
    // An unchanged file is not written again: apt's configuration would count as changed, and candidates be computed anew.
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    if keys.is_empty() {
        atomic_file::remove(&path)?;
    } else if present != wanted {
        let directory = layout.etc().join("preferences.d");
        std::fs::create_dir_all(&directory).map_err(PackageError::io("make", &directory))?;
        atomic_file::write(&path, wanted.as_bytes(), atomic_file::MODE_PUBLIC)?;
    }
    let json = serde_json::to_vec(&keys).map_err(|error| PackageError::io("write", keys_file(layout))(error.into()))?;
    Ok(atomic_file::write(&keys_file(layout), &json, atomic_file::MODE_SECRET)?)
}

/// Whether a target is one of these versions.
pub(crate) fn forbids(keys: &[QuarantineKey], target: &PackageTarget) -> bool {
    keys.iter().any(|key| key.source == target.source && key.version == target.to)
}

fn pin_text(keys: &[QuarantineKey]) -> String {
    let mut text = "Explanation: written by patchwave-agent, replaced as a whole; lift with `patchwave quarantine lift`\n".to_owned();
    for key in keys {
        text.push_str(&format!("Package: src:{}\nPin: version {}\nPin-Priority: -1\n\n", key.source, key.version));
    }
    text
}
