//! The hosts of the demo: sandboxes with a package root and an agent each, and this machine itself, which only reports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use patchwave_debian_repository::Sandbox;
use tokio::process::Child;

use super::controller::{Controller, Token};
use super::packages::{CLUSTER_CONFIGURATION, FIRST, Shop};
use super::place::Place;
use super::{processes, say};

/// Name, ring, and whether the shop runs as a cluster there.
const HOSTS: [(&str, &str, bool); 12] = [
    ("test-1", "test", false),
    ("test-2", "test", false),
    ("cluster-1", "early", true),
    ("cluster-2", "early", true),
    ("cluster-3", "broad", true),
    ("cluster-4", "broad", true),
    ("single-1", "broad", false),
    ("single-2", "broad", false),
    ("single-3", "broad", false),
    ("single-4", "last", false),
    ("single-5", "last", false),
    ("single-6", "last", false),
];
/// The report-only host's name in the demo's folder.
const THIS_MACHINE: &str = "this-machine";
/// How long enrolment and first reports may take, twelve resolver runs on a small machine included.
const REPORT_TIMEOUT: Duration = Duration::from_secs(90);

/// A sandbox host.
pub(super) struct SandboxHost {
    pub(super) name: &'static str,
    pub(super) root: PathBuf,
    /// `None` without apt.
    sandbox: Option<Sandbox>,
    pub(super) cluster: bool,
}

/// Every host of the demo.
pub(super) struct Fleet {
    pub(super) hosts: Vec<SandboxHost>,
    pub(super) real: bool,
    /// End with the demo.
    _agents: Vec<Child>,
}

impl Fleet {
    /// Makes the sandboxes, enrols everybody, and waits until all have reported.
    pub(super) async fn start(place: &Place, shop: &Shop, controller: &Controller) -> anyhow::Result<Self> {
        let hosts = make_sandboxes(place, shop).await?;
        let mut agents = Vec::new();
        for ring in ["test", "early", "broad", "last"] {
            let members: Vec<_> = HOSTS.iter().filter(|host| host.1 == ring).map(|host| host.0).collect();
            let token = controller.token("managed", ring, u32::try_from(members.len())?).await?;
            for name in members {
                agents.push(start_agent(place, shop, controller, &token, name, true).await?);
            }
        }
        let token = controller.token("report-only", "broad", 1).await?;
        agents.push(start_agent(place, shop, controller, &token, THIS_MACHINE, false).await?);
        let fleet = Self { hosts, real: shop.is_real(), _agents: agents };
        let wanted = HOSTS.len() + 1;
        let reported = controller.wait_for("every host's first report", REPORT_TIMEOUT, async |controller| {
            let hosts = controller.hosts().await?;
            let ready = hosts.iter().filter(|host| host.presence == "online" && host.packages > 0).count();
            Ok((ready == wanted).then_some(()))
        });
        reported.await?;
        Ok(fleet)
    }

    /// Number of managed hosts.
    pub(super) fn managed(&self) -> usize {
        self.hosts.len()
    }

    /// Shows who is there.
    pub(super) async fn introduce(&self, controller: &Controller) -> anyhow::Result<()> {
        let hosts = controller.hosts().await?;
        let managed = hosts.iter().filter(|host| host.mode == "managed").count();
        say(&format!("{managed} sandbox hosts with shop {FIRST}, each a real agent over mutual TLS."));
        if let Some(own) = hosts.iter().find(|host| host.mode == "report-only") {
            say(&format!(
                "This machine ({}, {} {}) reports, and nothing more: {} packages, {} updates waiting, {} of them for security.",
                own.name, own.os, own.release, own.packages, own.updates, own.security_updates
            ));
        }
        Ok(())
    }

    /// The version of a package on a host, asked of dpkg itself.
    pub(super) fn installed(host: &SandboxHost, package: &str) -> anyhow::Result<Option<String>> {
        Ok(host.sandbox.as_ref().map(|sandbox| sandbox.installed_version(package)).transpose()?.flatten())
    }
}

async fn make_sandboxes(place: &Place, shop: &Shop) -> anyhow::Result<Vec<SandboxHost>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (index, (name, _, cluster)) in HOSTS.into_iter().enumerate() {
        let root = place.folder(&format!("hosts/{name}/root"))?;
        let source = shop.source_line();
        tasks.spawn_blocking(move || {
            let installed = source.map(|source| install_first(&root, source, cluster)).transpose();
            let sandbox = installed.with_context(|| format!("installing the shop on {name}"))?;
            anyhow::Ok((index, SandboxHost { name, root, sandbox, cluster }))
        });
    }
    let mut hosts = tasks.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    hosts.sort_by_key(|(index, _)| *index);
    Ok(hosts.into_iter().map(|(_, host)| host).collect())
}

fn install_first(root: &Path, source: String, cluster: bool) -> anyhow::Result<Sandbox> {
    let sandbox = Sandbox::create(root, &[source])?;
    sandbox.apt("apt-get", &["update", "-qq"])?;
    sandbox.apt("apt-get", &["install", "-qq", "-y", "--no-install-recommends", &format!("shop={FIRST}")])?;
    if cluster {
        // An administrator's edit, which must survive both updates and the way back.
        std::fs::write(root.join("etc/shop/shop.conf"), CLUSTER_CONFIGURATION)?;
    }
    Ok(sandbox)
}

async fn start_agent(
    place: &Place,
    shop: &Shop,
    controller: &Controller,
    token: &Token,
    name: &str,
    managed: bool,
) -> anyhow::Result<Child> {
    let folder = place.folder(&format!("hosts/{name}"))?;
    let checks = place.folder(&format!("hosts/{name}/checks.d"))?;
    let check = checks.join("shop-works");
    std::fs::write(&check, "#!/bin/sh\nexec /bin/sh \"$PATCHWAVE_ROOT/usr/lib/shop/self-test\"\n")?;
    std::fs::set_permissions(&check, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let packages = match (managed, shop.is_real()) {
        (true, true) => format!("[packages]\nmanager = \"dpkg\"\nroot = \"{}\"\n", folder.join("root").display()),
        (_, false) => format!("[packages]\nmanager = \"simulated\"\nroot = \"{}\"\n", folder.join("root").display()),
        (false, true) => "[packages]\nmanager = \"dpkg\"\n".to_owned(),
    };
    let configuration = folder.join("agent.toml");
    let own_name = if managed { format!("name = \"{name}\"\n") } else { String::new() };
    let text = format!(
        "{own_name}state_dir = \"{}\"\nchecks_dir = \"{}\"\n{packages}keep_free_mib = 16\n",
        folder.join("state").display(),
        checks.display()
    );
    std::fs::write(&configuration, text)?;
    let token_file = folder.join("token");
    patchwave_common::runtime::atomic_file::write(&token_file, token.secret.as_bytes(), 0o600)?;
    let mut enroll = processes::own(crate::AS_AGENT)?;
    enroll.arg("enroll").arg("--config").arg(&configuration).arg("--controller").arg(controller.url());
    enroll.arg("--token-file").arg(&token_file).arg("--fingerprint").arg(&token.fingerprint);
    processes::run(enroll, &format!("enrolling {name}")).await?;
    std::fs::remove_file(&token_file)?;
    let mut run = processes::own(crate::AS_AGENT)?;
    run.arg("run").arg("--config").arg(&configuration);
    processes::start(run, &folder.join("agent.log"))
}
