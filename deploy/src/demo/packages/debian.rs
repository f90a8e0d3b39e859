//! Real .deb files from a repository on loopback, installed by the machine's apt into package roots.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use patchwave_debian_repository::{Package, ReleaseFields, Repository, RepositoryServer, Sandbox};

use super::{Contents, FIRST};
use crate::demo::place::Place;

/// The repository and its server.
pub(in crate::demo) struct Debian {
    repository: Repository,
    server: RepositoryServer,
}

impl Debian {
    pub(super) fn serve(place: &Place) -> anyhow::Result<Self> {
        let repository = Repository::create(&place.folder("repository")?, ReleaseFields::named("Shop"))?;
        let server = RepositoryServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), repository.directory())
            .context("serving the repository")?;
        Ok(Self { repository, server })
    }

    pub(super) fn publish(&mut self, contents: &[Contents]) -> anyhow::Result<()> {
        for each in contents {
            self.repository.add(&package(each))?;
        }
        Ok(self.repository.publish()?)
    }

    pub(super) async fn install(&self, roots: &[PathBuf]) -> anyhow::Result<()> {
        let source = self.repository.source_line(&self.server.url());
        let mut tasks = tokio::task::JoinSet::new();
        for root in roots {
            let (root, source) = (root.clone(), source.clone());
            tasks
                .spawn_blocking(move || install_first(&root, source).with_context(|| format!("installing the shop in {}", root.display())));
        }
        while let Some(installed) = tasks.join_next().await {
            installed??;
        }
        Ok(())
    }
}

/// As dpkg's database says; `None` unless it is wholly installed.
pub(super) fn installed(root: &Path, package: &str) -> anyhow::Result<Option<String>> {
    // Opening a sandbox again leaves what is installed; the sources are those of its own file.
    let sources = std::fs::read_to_string(root.join("etc/apt/sources.list")).with_context(|| root.display().to_string())?;
    Ok(Sandbox::create(root, &[sources.trim_end().to_owned()])?.installed_version(package)?)
}

fn install_first(root: &Path, source: String) -> anyhow::Result<()> {
    let sandbox = Sandbox::create(root, &[source])?;
    sandbox.apt("apt-get", &["update", "-qq"])?;
    sandbox.apt("apt-get", &["install", "-qq", "-y", "--no-install-recommends", &format!("shop={FIRST}")])?;
    Ok(())
}

fn package(contents: &Contents) -> Package {
    let mut package = Package::new(contents.name, contents.version);
    for (path, text) in &contents.conffiles {
        package = package.conffile(path, 0o644, *text);
    }
    for (path, mode, text) in &contents.files {
        package = package.file(path, *mode, text.as_str());
    }
    match contents.depends {
        Some(dependency) => package.depends(dependency),
        None => package,
    }
}
