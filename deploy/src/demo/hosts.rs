//! The hosts of the demo: sandboxes with a package root and an agent each, and this machine itself, which only reports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use patchwave_common::domain::Manager;
use tokio::process::Child;

use super::controller::{Controller, Token};
use super::output::{Live, say};
use super::packages::{self, FIRST, Shop};
use super::place::Place;
use super::processes;

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
/// Where dpkg keeps what is installed on this machine.
const DPKG_STATUS: &str = "/var/lib/dpkg/status";
/// How long the first reports may take: some seconds as a rule, and a machine may be many times slower or busy.
const REPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the end waits for the count of this machine's updates; apt needs a second or two for it and had half a minute.
const UPDATES_TIMEOUT: Duration = Duration::from_secs(10);

/// A sandbox host.
pub(super) struct SandboxHost {
    pub(super) name: &'static str,
    pub(super) root: PathBuf,
    pub(super) cluster: bool,
}

/// Every host of the demo.
pub(super) struct Fleet {
    pub(super) hosts: Vec<SandboxHost>,
    /// Of the agent on this machine.
    own_state_dir: PathBuf,
    /// End with the demo.
    _agents: Vec<Child>,
}

impl Fleet {
    /// Makes the sandboxes, enrols everybody, and waits until all have reported.
    pub(super) async fn start(place: &Place, shop: &mut Shop, controller: &Controller) -> anyhow::Result<Self> {
        let mut live = Live::new();
        live.line(&format!("Installing shop {FIRST} on {} sandbox hosts …", HOSTS.len()));
        let mut hosts = Vec::new();
        for (name, _, cluster) in HOSTS {
            hosts.push(SandboxHost { name, root: place.folder(&format!("hosts/{name}/root"))?, cluster });
        }
        shop.furnish(hosts.iter().map(|host| (host.root.clone(), host.cluster)).collect()).await?;
        let mut agents = Vec::new();
        for ring in ["test", "early", "broad", "last"] {
            let members: Vec<_> = HOSTS.iter().filter(|host| host.1 == ring).map(|host| host.0).collect();
            let token = controller.token("managed", ring, u32::try_from(members.len())?).await?;
            for name in members {
                live.line(&format!("Enrolling {name}: {} of {} hosts …", agents.len() + 1, HOSTS.len() + 1));
                let settings = AgentSettings::sandbox(place, name, shop.manager())?;
                agents.push(settings.enroll_and_run(controller, &token).await?);
            }
        }
        live.line("Enrolling this machine itself, to report only …");
        let token = controller.token("report-only", "broad", 1).await?;
        let own = AgentSettings::this_machine(place)?;
        agents.push(own.enroll_and_run(controller, &token).await?);
        let fleet = Self { hosts, own_state_dir: own.folder.join("state"), _agents: agents };
        let wanted = HOSTS.len() + 1;
        let reported = controller.wait_for("every host's first report", REPORT_TIMEOUT, async |controller| {
            let hosts = controller.hosts().await?;
            let ready = hosts.iter().filter(|host| host.presence == "online" && (host.packages > 0 || !expects_packages(host))).count();
            live.line(&format!("Waiting for first reports: {ready} of {wanted} …"));
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
        say(&format!("Hosts: {managed} sandboxes with shop {FIRST}, each a real agent over mutual TLS: 2 test, 4 clusters, 6 singles."));
        if let Some(own) = hosts.iter().find(|host| host.mode == "report-only") {
            let packages =
                if own.packages > 0 { format!("{} packages", own.packages) } else { "no package manager that it reads".to_owned() };
            say(&format!(
                "This machine reports too, and nothing more: {}, {} {}, Linux {}, {packages}.",
                own.name, own.os, own.release, own.kernel
            ));
        }
        Ok(())
    }

    /// What this machine reported, in a sentence. Updates are counted only once the controller has them.
    pub(super) async fn this_machine(&self, controller: &Controller) -> anyhow::Result<String> {
        let counted = || async {
            let status = patchwave_agent::run::status_file::read(&self.own_state_dir)?;
            Ok(status.is_some_and(|status| status.session.acknowledged.candidates.is_some()).then_some(()))
        };
        let has_apt = Path::new(DPKG_STATUS).exists() && packages::has_apt();
        let counted = has_apt && controller.wait_for("this machine's updates", UPDATES_TIMEOUT, async |_| counted().await).await.is_ok();
        let hosts = controller.hosts().await?;
        let own = hosts.iter().find(|host| host.mode == "report-only").context("this machine is not among the hosts")?;
        let updates = match counted {
            true => format!(", {} updates waiting, {} of them for security", own.updates, own.security_updates),
            false => String::new(),
        };
        Ok(format!("This machine ({}) reported {} packages{updates}; nothing of it was changed.", own.name, own.packages))
    }
}

/// Whether a host without packages has not reported yet: every sandbox, and this machine where dpkg is.
fn expects_packages(host: &patchwave_proto::operator::v1::Host) -> bool {
    host.mode == "managed" || Path::new(DPKG_STATUS).exists()
}

/// Where an agent lives and what it looks after.
struct AgentSettings {
    /// In an error.
    title: String,
    folder: PathBuf,
    /// The host's name, if it is not the machine's.
    name: Option<&'static str>,
    /// The `[packages]` section.
    packages: String,
}

impl AgentSettings {
    fn sandbox(place: &Place, name: &'static str, manager: Manager) -> anyhow::Result<Self> {
        let folder = place.folder(&format!("hosts/{name}"))?;
        let packages = format!("manager = \"{}\"\nroot = \"{}\"\n", manager.as_str(), folder.join("root").display());
        Ok(Self { title: name.to_owned(), folder, name: Some(name), packages })
    }

    /// The report-only agent reads dpkg's database as it is; elsewhere it reports the system alone.
    fn this_machine(place: &Place) -> anyhow::Result<Self> {
        let folder = place.folder(&format!("hosts/{THIS_MACHINE}"))?;
        let packages = match Path::new(DPKG_STATUS).exists() {
            true => "manager = \"dpkg\"\n".to_owned(),
            false => "manager = \"simulated\"\n".to_owned(),
        };
        Ok(Self { title: "this machine".to_owned(), folder, name: None, packages })
    }

    async fn enroll_and_run(&self, controller: &Controller, token: &Token) -> anyhow::Result<Child> {
        let configuration = self.configure()?;
        let token_file = self.folder.join("token");
        patchwave_common::runtime::atomic_file::write(&token_file, token.secret.as_bytes(), 0o600)?;
        let mut enroll = processes::own(crate::AS_AGENT)?;
        enroll.arg("enroll").arg("--config").arg(&configuration).arg("--controller").arg(controller.url());
        enroll.arg("--token-file").arg(&token_file).arg("--fingerprint").arg(&token.fingerprint);
        processes::run(enroll, &format!("enrolling {}", self.title)).await?;
        std::fs::remove_file(&token_file).with_context(|| format!("removing {}", token_file.display()))?;
        let mut run = processes::own(crate::AS_AGENT)?;
        run.arg("run").arg("--config").arg(&configuration);
        processes::start(run, &self.folder.join("agent.log"))
    }

    /// Writes the configuration and the one health check; gives the configuration's path.
    fn configure(&self) -> anyhow::Result<PathBuf> {
        let checks = self.folder.join("checks.d");
        std::fs::create_dir_all(&checks).with_context(|| format!("making {}", checks.display()))?;
        let check = checks.join("shop-works");
        write(&check, "#!/bin/sh\nexec /bin/sh \"$PATCHWAVE_ROOT/usr/lib/shop/self-test\"\n")?;
        // Not left to the umask: an agent refuses a check that others can write.
        for path in [&checks, &check] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
        let name = self.name.map_or_else(String::new, |name| format!("name = \"{name}\"\n"));
        let text = format!(
            "{name}state_dir = \"{}\"\nchecks_dir = \"{}\"\n[packages]\n{}keep_free_mib = 16\n",
            self.folder.join("state").display(),
            checks.display(),
            self.packages
        );
        let configuration = self.folder.join("agent.toml");
        write(&configuration, &text)?;
        Ok(configuration)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
