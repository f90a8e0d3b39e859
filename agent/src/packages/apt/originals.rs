//! Originals that left the archive but lie in apt's own cache of packages. One counts only if it proves to be what is installed.

use std::path::Path;

use patchwave_common::domain::{PackageId, PackageVersion};

use super::files::{Files, content};
use super::layout::Layout;
use super::shelf::Shelf;
use super::status::read_text;
use super::{debfile, fetch};
use crate::packages::{PackageError, StagedFile};
use patchwave_common::domain::dpkg::paragraphs;

/// Bound on a control file; those of Debian's largest packages are some 10 KB.
const CONTROL_MAX_BYTES: u64 = 1024 * 1024;

/// Takes the installed version's file from apt's cache onto the shelf, if it is there and the same: name, version, architecture, and
/// every packaged file has the checksum that dpkg recorded at installation. A package of which dpkg recorded none proves nothing.
pub(crate) fn from_apt_cache(
    layout: &Layout,
    id: &PackageId,
    version: &PackageVersion,
    shelf: &Shelf,
) -> Result<Option<StagedFile>, PackageError> {
    let path = layout.archives().join(fetch::file_name(id.name.as_str(), version.as_str(), id.architecture.as_str()));
    if !path.exists() || !is_original(layout, &path, id, version)? {
        return Ok(None);
    }
    shelf.take(&path, id, version, true).map(Some)
}

fn is_original(layout: &Layout, path: &Path, id: &PackageId, version: &PackageVersion) -> Result<bool, PackageError> {
    let control = debfile::control(layout, path)?;
    let fields = read_text(&control.path().join("control"), CONTROL_MAX_BYTES)?;
    let says = paragraphs(&fields).next().unwrap_or_default();
    let fits = says.get("Package") == Some(id.name.as_str())
        && says.get("Version") == Some(version.as_str())
        && says.get("Architecture") == Some(id.architecture.as_str());
    let recorded = Files::new(layout, id).recorded()?;
    if !fits || recorded.is_empty() {
        return Ok(false);
    }
    let tree = debfile::files(layout, path)?;
    for (path, checksum) in recorded {
        if content(&tree.path().join(path.trim_start_matches('/')))? != Some(format!("md5:{checksum}")) {
            return Ok(false);
        }
    }
    Ok(true)
}
