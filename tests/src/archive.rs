//! Debian's archive for the hosts: a forwarding, caching proxy on the bridge.
//!
//! Hosts use ordinary sources and this proxy; it answers only for the sites from which this machine's own apt gets Debian,
//! and fetches with apt's own helper, so that the machine's proxies and https work as they do for apt. Package files and
//! indexes named by their hash never change and are kept; other files are kept for a short time.
#![allow(clippy::disallowed_methods)] // The ages of files on disk, by the clock that dates them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use patchwave_debian_repository::{Asked, RepositoryServer, Source};

use crate::command::{self, Finished};

/// The release that hosts run.
pub(crate) const RELEASE: &str = "bookworm";

/// Where Debian is if this machine's apt does not say.
const DEFAULT_MAIN: &str = "http://deb.debian.org/debian/";
const DEFAULT_SECURITY: &str = "http://deb.debian.org/debian-security/";

/// How long a file that may change (InRelease) is served from the cache: one run sees one archive, the next a current one.
const CHANGING_FILES_KEPT: Duration = Duration::from_secs(600);

/// Longest download; the largest file, main's index, has 9 MB.
const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// The cache is cut back to this, oldest first, when a proxy starts. A full run of the system tests keeps about 100 MB.
const CACHE_LIMIT_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Where this machine gets Debian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sites {
    /// Base addresses, ending with a slash.
    main: String,
    security: String,
}

impl Sites {
    /// Asks this machine's apt.
    pub(crate) fn of_this_machine() -> Self {
        let targets = command::run("apt-get", &["indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]);
        Self::from_targets(&targets.unwrap_or_default())
    }

    fn from_targets(targets: &str) -> Self {
        let base = |label: &str, default: &str| {
            let found = targets
                .lines()
                .filter_map(|line| line.split_once('|'))
                .find(|(found, address)| *found == label && (address.starts_with("http://") || address.starts_with("https://")));
            found.map_or(default, |(_, address)| address).to_owned()
        };
        Self { main: base("Debian", DEFAULT_MAIN), security: base("Debian-Security", DEFAULT_SECURITY) }
    }

    /// Lines for a host's `sources.list`. The proxy, not the host, speaks TLS where the machine does.
    pub(crate) fn source_lines(&self) -> [String; 3] {
        let [main, security] = [&self.main, &self.security].map(|base| base.replacen("https://", "http://", 1));
        [
            format!("deb {main} {RELEASE} main"),
            format!("deb {main} {RELEASE}-updates main"),
            format!("deb {security} {RELEASE}-security main"),
        ]
    }

    /// Addresses of the files that name the archives' present state.
    pub(crate) fn release_files(&self) -> [String; 3] {
        let [main, security] = [&self.main, &self.security];
        [
            format!("{main}dists/{RELEASE}/InRelease"),
            format!("{main}dists/{RELEASE}-updates/InRelease"),
            format!("{security}dists/{RELEASE}-security/InRelease"),
        ]
    }

    /// The archive of the release itself, for debootstrap.
    pub(crate) fn main_archive(&self) -> String {
        self.main.replacen("https://", "http://", 1)
    }

    /// Allowed sites (host, with a port if one is given) and the scheme to reach each with.
    fn allowed(&self) -> BTreeMap<String, String> {
        let parts = [&self.main, &self.security].map(|base| base.split_once("://"));
        let sites = parts.into_iter().flatten().filter_map(|(scheme, rest)| Some((rest.split('/').next()?, scheme)));
        sites.map(|(site, scheme)| (site.to_owned(), scheme.to_owned())).collect()
    }
}

/// Fetches from allowed sites into a cache directory.
#[derive(Debug)]
pub(crate) struct Archive {
    cache: PathBuf,
    allowed: BTreeMap<String, String>,
    /// One download at a time: hosts ask for the same files at once, and the second finds what the first fetched.
    fetching: Mutex<()>,
}

impl Archive {
    pub(crate) fn new(cache: &Path, sites: &Sites) -> Self {
        Self { cache: cache.to_owned(), allowed: sites.allowed(), fetching: Mutex::new(()) }
    }

    /// Starts the proxy on a free port of `address`.
    pub(crate) fn serve(self, address: Ipv4Addr) -> Result<RepositoryServer> {
        fs::create_dir_all(&self.cache).with_context(|| format!("cannot make {}", self.cache.display()))?;
        self.cut_back(CACHE_LIMIT_BYTES)?;
        RepositoryServer::start_with(SocketAddr::from((address, 0)), Box::new(self)).context("cannot start the archive proxy")
    }

    /// The file at an address such as `http://site/path`, fetched if need be.
    pub(crate) fn file(&self, address: &str) -> Result<PathBuf> {
        let (site, path) = address.split_once("://").and_then(|(_, rest)| rest.split_once('/')).context("not an address")?;
        let asked = Asked { site: Some(site.to_owned()), path: format!("/{path}") };
        self.find(&asked).map_err(|status| anyhow::anyhow!("{address}: status {status}"))
    }

    fn fetch(&self, scheme: &str, asked: &Asked, target: &Path) -> Result<(), u16> {
        let partial = target.with_extension(format!("partial-{}", std::process::id()));
        let made = target.parent().map_or(Ok(()), fs::create_dir_all);
        made.map_err(|failed| broken(target, &failed.to_string()))?;
        let address = format!("{scheme}://{}", escaped(&asked.full()));
        let finished = helper(&address, &partial).map_err(|failed| broken(target, &failed.to_string()))?;
        if !finished.status.success() {
            let _ = fs::remove_file(&partial);
            let said = finished.stdout + &finished.stderr;
            return Err(if said.contains("404 ") { 404 } else { broken(target, &said) });
        }
        fs::rename(&partial, target).map_err(|failed| broken(target, &failed.to_string()))
    }

    fn cut_back(&self, limit_bytes: u64) -> Result<()> {
        let mut files = Vec::new();
        files_below(&self.cache, &mut files)?;
        files.sort_by_key(|(_, modified, _)| std::cmp::Reverse(*modified));
        let mut kept_bytes = 0;
        for (path, _, size_bytes) in files {
            kept_bytes += size_bytes;
            if kept_bytes > limit_bytes {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

impl Source for Archive {
    fn find(&self, asked: &Asked) -> Result<PathBuf, u16> {
        let site = asked.site.as_deref().ok_or(400_u16)?;
        let scheme = self.allowed.get(site).ok_or(403_u16)?;
        let file = self.cache.join(site).join(asked.relative_path()?);
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_current(&file, SystemTime::now()) {
            self.fetch(scheme, asked, &file)?;
        }
        Ok(file)
    }
}

/// Whether the cached file may be served without asking the archive.
fn is_current(file: &Path, now: SystemTime) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    let unchanging = file.components().any(|part| part.as_os_str() == "pool" || part.as_os_str() == "by-hash");
    let fetched = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    unchanging || now.duration_since(fetched).is_ok_and(|age| age < CHANGING_FILES_KEPT)
}

/// Apt's own downloader. It dates the file as the archive does, so the date is set to now: it says when we fetched it.
fn helper(address: &str, target: &Path) -> Result<Finished> {
    let mut fetch = command::limited(FETCH_LIMIT, "/usr/lib/apt/apt-helper");
    fetch.args(["-o", "APT::Sandbox::User=root", "download-file", address]).arg(target).env("LC_ALL", "C");
    let finished = command::finish(&mut fetch)?;
    if finished.status.success() {
        fs::File::options().append(true).open(target)?.set_modified(SystemTime::now())?;
    }
    Ok(finished)
}

/// The status for what is not the client's fault, after saying what happened.
#[allow(clippy::print_stderr)] // The harness's log is the test's output.
fn broken(target: &Path, said: &str) -> u16 {
    eprintln!("archive proxy: {}: {}", target.display(), said.trim());
    502
}

/// Escapes what apt-helper would misread; slashes, dots and tildes stay.
fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut text, each| {
        match each {
            '%' | '+' | ' ' | '#' | '?' => text.push_str(&format!("%{:02x}", u32::from(each))),
            _ => text.push(each),
        }
        text
    })
}

fn files_below(directory: &Path, found: &mut Vec<(PathBuf, SystemTime, u64)>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            files_below(&entry.path(), found)?;
        } else {
            found.push((entry.path(), metadata.modified()?, metadata.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sites_come_from_apt_and_only_they_are_allowed() {
        let sites = Sites::from_targets("Google|https://packages.example/apt/\nDebian|https://mirror.example:8443/debian/\n");
        assert_eq!(sites.main, "https://mirror.example:8443/debian/");
        assert_eq!(sites.security, DEFAULT_SECURITY);
        assert_eq!(sites.source_lines()[0], "deb http://mirror.example:8443/debian/ bookworm main");
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::new(directory.path(), &sites);
        assert_eq!(archive.allowed.get("mirror.example:8443").map(String::as_str), Some("https"));
        let asked = |site: Option<&str>, path: &str| Asked { site: site.map(str::to_owned), path: path.to_owned() };
        assert_eq!(archive.find(&asked(Some("packages.example"), "/apt/x")), Err(403));
        assert_eq!(archive.find(&asked(None, "/debian/x")), Err(400));
        assert_eq!(archive.find(&asked(Some("deb.debian.org"), "/../x")), Err(403));
    }

    #[test]
    fn package_files_are_kept_and_release_files_only_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let [package, release] = ["pool/a.deb", "dists/InRelease"].map(|path| directory.path().join(path));
        for file in [&package, &release] {
            assert!(!is_current(file, now));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
            assert!(is_current(file, now + Duration::from_secs(1)));
        }
        let later = now + Duration::from_secs(601);
        assert!(is_current(&package, later));
        assert!(!is_current(&release, later));
    }

    #[test]
    fn the_cache_is_cut_back_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::new(directory.path(), &Sites::from_targets(""));
        for (name, age_secs) in [("old", 100), ("new", 0)] {
            let path = directory.path().join(name);
            fs::write(&path, [0; 10]).unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age_secs)).unwrap();
        }
        archive.cut_back(15).unwrap();
        assert!(directory.path().join("new").exists() && !directory.path().join("old").exists());
    }
}
