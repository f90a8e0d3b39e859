//! Where a server's files come from.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Host and port of an absolute request line, as clients of a proxy send it; `None` from a server's ordinary client.
    pub site: Option<String>,
    /// The path, with escapes undone; not yet checked for `..`.
    pub path: String,
}

impl Asked {
    /// Site and path in one, for logs and for matching faults.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}{}", self.site.as_deref().unwrap_or_default(), self.path)
    }

    /// The path without its first slash, if none of its parts is empty, `.` or `..`; the status that refuses it otherwise.
    ///
    /// # Errors
    /// 400 for a path that is not absolute, 403 for one that could leave a directory.
    pub fn relative_path(&self) -> Result<&str, u16> {
        let relative = self.path.strip_prefix('/').ok_or(400_u16)?;
        let forbidden = relative.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains('\0'));
        if forbidden { Err(403) } else { Ok(relative) }
    }
}

/// Finds the file for a request. Called on a thread where it may block.
pub trait Source: Debug + Send + Sync + 'static {
    /// The file to send.
    ///
    /// # Errors
    /// The HTTP status that answers the request instead.
    fn find(&self, asked: &Asked) -> Result<PathBuf, u16>;
}

/// Regular files below one directory.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }
}

impl Source for Directory {
    fn find(&self, asked: &Asked) -> Result<PathBuf, u16> {
        let relative = asked.relative_path()?;
        // The canonical form has followed every symbolic link.
        let file = self.root.join(relative).canonicalize().map_err(|_| 404_u16)?;
        if !file.starts_with(&self.root) {
            return Err(403);
        }
        if file.is_file() { Ok(file) } else { Err(404) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn found(directory: &Path, path: &str) -> Result<PathBuf, u16> {
        Directory::new(directory).unwrap().find(&Asked { site: None, path: path.to_owned() })
    }

    #[test]
    fn a_path_cannot_leave_the_directory() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let directory = outside.path().join("served");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("open"), "o").unwrap();
        std::os::unix::fs::symlink("../secret", directory.join("link")).unwrap();
        let directory = directory.canonicalize().unwrap();
        assert_eq!(found(&directory, "/open"), Ok(directory.join("open")));
        for path in ["/../secret", "/./open", "/link", "//etc/passwd", "/a/../../secret"] {
            assert_eq!(found(&directory, path), Err(403), "{path}");
        }
        assert_eq!(found(&directory, "/absent"), Err(404));
        assert_eq!(found(&directory, "open"), Err(400));
    }
}
