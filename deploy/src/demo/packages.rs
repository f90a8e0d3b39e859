//! The packages of the demo: a small shop in three versions, built as real .deb files and served by a repository on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use patchwave_debian_repository::{Package, ReleaseFields, Repository, RepositoryServer};

use super::place::Place;

/// What every host starts with.
pub(super) const FIRST: &str = "1.0-1";
/// A good update.
pub(super) const GOOD: &str = "1.1-1";
/// A bad one: its self-test fails where the shop runs as a cluster.
pub(super) const BAD: &str = "1.2-1";

/// The configuration as the package ships it, and as the administrators of clusters edited it.
pub(super) const SHIPPED_CONFIGURATION: &str = "mode = single\n";
/// See [`SHIPPED_CONFIGURATION`].
pub(super) const CLUSTER_CONFIGURATION: &str = "mode = cluster\npeers = 3\n";

/// Test ring, then two canaries, then half, then the rest; spans are short because nobody wants to watch a demo for a day.
pub(super) const POLICY: &str = r#"
name = "demo"
description = "The demo's policy: real spans would be hours"
hosts = "mode=managed"

[health]
patience = "1500ms"
interval = "300ms"
settle = "1s"
silence = "20s"

[[health.check]]
name = "shop-works"
kind = "executable"
timeout = "5s"

[limits]
failures = 2
max_unavailable = "50%"

[[wave]]
name = "test ring"
kind = "test"
hosts = "ring=test"
soak = "1s"

[[wave]]
name = "canaries"
kind = "canary"
hosts = "ring=early"
soak = "1s"
failure_limit = 1

[[wave]]
name = "half"
hosts = "ring=broad"
size = "50%"
soak = "1s"

[[wave]]
name = "rest"
soak = "1s"
"#;

/// The repository, its server, and where it is.
pub(super) struct Shop {
    repository: Option<(Repository, RepositoryServer)>,
}

impl Shop {
    /// Builds the first version and serves it. Without apt there is only the simulated package manager's catalogue.
    pub(super) fn publish_first(place: &Place) -> anyhow::Result<Self> {
        let mut shop = Self { repository: None };
        if Path::new("/usr/bin/apt-get").exists() && Path::new("/usr/bin/dpkg-deb").exists() {
            let repository = Repository::create(&place.folder("repository")?, ReleaseFields::named("Shop"))?;
            let server = RepositoryServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), repository.directory())
                .context("serving the repository")?;
            shop.repository = Some((repository, server));
        }
        shop.publish(FIRST)?;
        Ok(shop)
    }

    /// Whether packages are real .deb files.
    pub(super) fn is_real(&self) -> bool {
        self.repository.is_some()
    }

    /// The line for the hosts' sources.
    pub(super) fn source_line(&self) -> Option<String> {
        self.repository.as_ref().map(|(repository, server)| repository.source_line(&server.url()))
    }

    /// Builds a version and publishes it; older ones stay.
    pub(super) fn publish(&mut self, version: &str) -> anyhow::Result<()> {
        let Some((repository, _)) = &mut self.repository else { return Ok(()) };
        repository.add(&shop(version))?;
        if version == BAD {
            repository.add(&Package::new("shop-cache", "1.0-1").file("/usr/share/shop/cache", 0o644, "a new dependency\n"))?;
        }
        repository.publish()?;
        Ok(())
    }
}

fn shop(version: &str) -> Package {
    let self_test = match version {
        BAD => {
            "#!/bin/sh\nif grep -q 'mode = cluster' \"$PATCHWAVE_ROOT/etc/shop/shop.conf\"; then\n  echo 'cannot join the cluster' >&2\n  exit 1\nfi\n"
        }
        _ => "#!/bin/sh\ntest -s \"$PATCHWAVE_ROOT/etc/shop/shop.conf\"\n",
    };
    let package = Package::new("shop", version)
        .conffile("/etc/shop/shop.conf", 0o644, SHIPPED_CONFIGURATION)
        .file("/usr/lib/shop/self-test", 0o755, self_test)
        .file("/usr/share/shop/version", 0o644, format!("{version}\n"));
    if version == BAD { package.depends("shop-cache") } else { package }
}
