//! The packages of the demo: a small shop in three versions. One description of what a version brings, and two ways to it: real .deb files
//! for apt, or the simulated package manager.

mod debian;
mod simulated;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use patchwave_common::domain::Manager;

use super::arguments::Choice;
use super::place::Place;
use debian::Debian;
use simulated::Simulated;

/// What every host starts with.
pub(super) const FIRST: &str = "1.0-1";
/// A good update.
pub(super) const GOOD: &str = "1.1-1";
/// A bad one: its self-test fails where the shop runs as a cluster.
pub(super) const BAD: &str = "1.2-1";

/// The configuration as the package ships it.
pub(super) const SHIPPED_CONFIGURATION: &str = "mode = single\n";
/// The configuration as the administrators of clusters edited it.
pub(super) const CLUSTER_CONFIGURATION: &str = "mode = cluster\npeers = 3\n";
/// Where the configuration is in a host's root.
pub(super) const CONFIGURATION_PATH: &str = "etc/shop/shop.conf";

/// What agents search for apt (the directories of a system) and what the sandboxes do (the search path).
const SYSTEM_DIRECTORIES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What real packages take.
const TOOLS: [&str; 4] = ["apt-get", "apt-cache", "dpkg", "dpkg-deb"];

/// A package in one version.
struct Contents {
    name: &'static str,
    version: &'static str,
    depends: Option<&'static str>,
    conffiles: Vec<(&'static str, &'static str)>,
    /// Path, mode, text.
    files: Vec<(&'static str, u32, String)>,
}

/// Where packages come from, and how they got onto the hosts.
pub(super) enum Shop {
    Debian(Box<Debian>),
    Simulated(Simulated),
}

impl Shop {
    /// Opens with the first version published.
    pub(super) fn open(choice: Choice, place: &Place) -> anyhow::Result<Self> {
        let missing = missing_tools();
        let mut shop = match choice {
            Choice::Apt if !missing.is_empty() => {
                bail!("this machine has no {} (hint: --package-manager simulated needs none of it)", missing.join(", no "))
            }
            Choice::Simulated => Self::Simulated(Simulated::default()),
            Choice::Auto if !missing.is_empty() => Self::Simulated(Simulated::default()),
            Choice::Auto | Choice::Apt => Self::Debian(Box::new(Debian::serve(place)?)),
        };
        shop.publish(FIRST)?;
        Ok(shop)
    }

    /// In a sentence.
    pub(super) fn describe(&self, choice: Choice) -> &'static str {
        match (self, choice) {
            (Self::Debian(_), _) => "Packages: real .deb files, installed by this machine's apt into a root of its own for each host.",
            (Self::Simulated(_), Choice::Simulated) => "Packages: simulated, as asked for. Agents and controller are the real ones.",
            (Self::Simulated(_), _) => {
                "This machine has no apt, so the hosts use the simulated package manager. Agents and controller are the real ones."
            }
        }
    }

    /// What the agents' configuration calls it.
    pub(super) fn manager(&self) -> Manager {
        match self {
            Self::Debian(_) => Manager::Dpkg,
            Self::Simulated(_) => Manager::Simulated,
        }
    }

    /// Builds a version and publishes it; older ones stay.
    pub(super) fn publish(&mut self, version: &'static str) -> anyhow::Result<()> {
        let contents = contents(version);
        match self {
            Self::Debian(debian) => debian.publish(&contents),
            Self::Simulated(simulated) => simulated.publish(&contents),
        }
    }

    /// Lays out these roots, and installs the first version in each; where the shop is a cluster, its administrator edits it.
    pub(super) async fn furnish(&mut self, hosts: Vec<(PathBuf, bool)>) -> anyhow::Result<()> {
        let roots: Vec<PathBuf> = hosts.iter().map(|(root, _)| root.clone()).collect();
        match self {
            Self::Debian(debian) => debian.install(&roots).await?,
            Self::Simulated(simulated) => simulated.install(&roots)?,
        }
        for (root, _) in hosts.iter().filter(|(_, cluster)| *cluster) {
            let path = root.join(CONFIGURATION_PATH);
            std::fs::write(&path, CLUSTER_CONFIGURATION).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// The version of a package in a root, asked of the package manager itself and of nobody else.
    pub(super) fn installed(&self, root: &Path, package: &str) -> anyhow::Result<Option<String>> {
        match self {
            Self::Debian(_) => debian::installed(root, package),
            Self::Simulated(_) => simulated::installed(root, package),
        }
    }

    /// Who was asked.
    pub(super) fn witness(&self) -> &'static str {
        match self {
            Self::Debian(_) => "dpkg",
            Self::Simulated(_) => "the simulated package manager",
        }
    }
}

/// Whether this machine has apt and dpkg.
pub(super) fn has_apt() -> bool {
    missing_tools().is_empty()
}

fn missing_tools() -> Vec<&'static str> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let holds = |path: &std::ffi::OsStr, tool: &str| std::env::split_paths(path).any(|directory| directory.join(tool).is_file());
    // The sandboxes add the system directories for administrators to the search path.
    let found = |tool: &str| holds(SYSTEM_DIRECTORIES.as_ref(), tool) && (holds(&own, tool) || holds("/usr/sbin:/sbin".as_ref(), tool));
    TOOLS.into_iter().filter(|tool| !found(tool)).collect()
}

fn contents(version: &'static str) -> Vec<Contents> {
    let self_test = match version {
        BAD => {
            "#!/bin/sh\nif grep -q 'mode = cluster' \"$PATCHWAVE_ROOT/etc/shop/shop.conf\"; then\n  echo 'cannot join the cluster' >&2\n  exit 1\nfi\n"
        }
        _ => "#!/bin/sh\ntest -s \"$PATCHWAVE_ROOT/etc/shop/shop.conf\"\n",
    };
    let shop = Contents {
        name: "shop",
        version,
        depends: (version == BAD).then_some("shop-cache"),
        conffiles: vec![("/etc/shop/shop.conf", SHIPPED_CONFIGURATION)],
        files: vec![("/usr/lib/shop/self-test", 0o755, self_test.to_owned()), ("/usr/share/shop/version", 0o644, format!("{version}\n"))],
    };
    let mut all = vec![shop];
    if version == BAD {
        let files = vec![("/usr/share/shop/cache", 0o644, "a new dependency\n".to_owned())];
        all.push(Contents { name: "shop-cache", version: "1.0-1", depends: None, conffiles: Vec::new(), files });
    }
    all
}
