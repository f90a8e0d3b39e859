//! Agent and controller of one release apart, both ways: the fleet begins with the older controller, whose rollout a newer agent takes part
//! in; in the middle of it controller and one host's agent are upgraded; the newer controller goes on with older agents. An order that
//! needs what an older agent has not is refused by it, and shown.

use anyhow::{Context as _, Result, ensure};
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{AgentInstallation, Binaries, Controller, Fleet, SourceCopy, say_left_out};

use super::support::{
    GATE, Patched, THREE_WAVES, agent_status, enrol_with, is_updated, policy_with, row, stop_at_the_gate, wait_at_the_gate,
};

/// The older release, tagged v0.1.0. By its number, since clones often come without tags.
const OLDER_RELEASE: &str = "52c5fd9";
const OLDER_VERSION: &str = "0.1.0";
const HOSTS: [(&str, &str); 3] = [("test-1", "test"), ("early-1", "early"), ("broad-1", "broad")];
const LIMITS: &str = "\n[limits]\nfailures = 9\nmax_unavailable = \"100%\"\n";
const CHECK: &str = "\n[[health.check]]\nname = \"journal\"\nkind = \"unit\"\nunit = \"systemd-journald.service\"\n";
/// Makes the built older agent lack a feature of its own release.
const LACKS: &str = "PATCHWAVE_TESTS_LACKS";
/// The unit of the older release's agent.
const UNIT: &str = "patchwave-agent.service";

/// The older release's programs and its agent's unit; the copy that they were built from.
struct Older {
    binaries: Binaries,
    copy: SourceCopy,
}

impl Older {
    /// `None` where its source is not there, which is said.
    fn build() -> Result<Option<Self>> {
        let copy = match SourceCopy::of_release(OLDER_RELEASE, OLDER_VERSION)? {
            Ok(copy) => copy,
            Err(why) => {
                say_left_out("an upgrade from the older release", &why);
                return Ok(None);
            }
        };
        let find = ".find(|feature| !Feature::ALL.contains(&feature.0.as_str()))";
        let lacking = format!(
            ".find(|feature| !Feature::ALL.contains(&feature.0.as_str()) || std::env::var(\"{LACKS}\").is_ok_and(|lacks| lacks == feature.0))"
        );
        copy.edit("agent/src/patching/machine/admission.rs".as_ref(), find, &lacking)?;
        // The one feature of a dependency that the older release has and this one has not.
        let (subscriber, json) = ("tracing-subscriber = { version = \"0.3\", features = [", "\"json\"] }");
        copy.edit("Cargo.toml".as_ref(), &format!("{subscriber}{json}"), &format!("{subscriber}\"env-filter\", {json}"))?;
        let binaries = copy.build_programs()?;
        Ok(Some(Self { binaries, copy }))
    }

    fn agent(&self) -> AgentInstallation {
        AgentInstallation { unit: self.copy.path("deploy/systemd").join(UNIT), ..AgentInstallation::usual(&self.binaries) }
    }
}

fn package(version: &str) -> Package {
    let package = Package::new("tool", version).file("/usr/share/tool/version", 0o644, format!("{version}\n"));
    if version == "2.0-1" { stop_at_the_gate(package) } else { package }
}

#[test]
fn agent_and_controller_one_release_apart_work_together_both_ways() -> Result<()> {
    // Outside the fleet, which counts what a test may take.
    let Some(older) = Older::build()? else { return Ok(()) };
    Fleet::test("upgrade", |fleet| {
        let (mut repository, server) = fleet.repository("tool", ReleaseFields::named("tool"))?;
        for version in ["1.0-1", "2.0-1"] {
            repository.add(&package(version))?;
        }
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let newer = Binaries::find()?;
        let controller = Controller::start(fleet, &older.binaries)?;
        let hosts = fleet.hosts(&HOSTS.map(|(name, _)| name))?;
        for (host, (name, ring)) in hosts.iter().zip(HOSTS) {
            host.add_source("tool", &source)?;
            host.apt_get(&["install", "tool=1.0-1"])?;
            let agent = if name == "test-1" { AgentInstallation::usual(&newer) } else { older.agent() };
            enrol_with(&controller, host, "managed", ring, &agent)?;
        }
        let mut patched = Patched { controller, hosts, binaries: newer };
        patched.wait_until_reported(HOSTS.len())?;
        versions_are(&patched, [env!("CARGO_PKG_VERSION"), OLDER_VERSION, OLDER_VERSION])?;

        both_are_upgraded_in_the_middle_of_a_rollout(&mut patched)?;
        versions_are(&patched, [env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_VERSION"), OLDER_VERSION])?;

        repository.add(&package("3.0-1"))?;
        repository.publish()?;
        an_order_beyond_an_older_agent_is_refused_and_shown(&patched)
    })
}

fn versions_are(patched: &Patched, wanted: [&str; 3]) -> Result<()> {
    for ((name, _), wanted) in HOSTS.iter().zip(wanted) {
        let shown = patched.controller.json(&["host", "show", name])?;
        ensure!(shown["host"]["agent_version"] == wanted, "{name}: {shown:#}");
    }
    Ok(())
}

/// A newer agent carries out what the older controller orders; the newer controller goes on with the older one's rollout and with older
/// agents; an agent that is upgraded while dpkg is at work goes on with the older one's journal.
fn both_are_upgraded_in_the_middle_of_a_rollout(patched: &mut Patched) -> Result<()> {
    patched.wait_until_offered("tool", "2.0-1", HOSTS.len() as u64)?;
    patched.apply_policy(&policy_with("120s", &format!("{LIMITS}{CHECK}"), &THREE_WAVES))?;
    let early = patched.host("early-1")?;
    early.write(GATE, "", "0644")?;
    let rollout = patched.start_rollout(&["tool"])?;
    wait_at_the_gate(&early)?;
    ensure!(is_updated(&patched.rollout(&rollout)?, "test-1")?, "the older controller's first wave is a newer agent");

    patched.controller.stop()?;
    early.stop_agent()?;
    early.install_agent(&AgentInstallation::usual(&patched.binaries))?;
    let binaries = patched.binaries.clone();
    patched.controller.replace_program(&binaries);
    patched.controller.serve()?;
    early.start_agent()?;
    early.run("rm", &[GATE])?;
    let detail = patched.wait_for_state(&rollout, "completed")?;
    for host in &patched.hosts {
        ensure!(is_updated(&detail, host.name())?, "{detail:#}");
        ensure!(host.installed_version("tool")?.as_deref() == Some("2.0-1"), "{}", host.name());
        let upgrades = host.apt_history()?.iter().flat_map(|done| done.actions.clone()).filter(|(action, _)| action == "Upgrade").count();
        ensure!(upgrades == 1, "{}: brought {upgrades} times", host.name());
        patched.agrees_with_dpkg(host)?;
    }
    Ok(())
}

fn an_order_beyond_an_older_agent_is_refused_and_shown(patched: &Patched) -> Result<()> {
    let broad = patched.host("broad-1")?;
    broad.write(
        "/etc/systemd/system/patchwave-agent.service.d/lacks.conf",
        format!("[Service]\nEnvironment={LACKS}=checks-v1\n"),
        "0644",
    )?;
    broad.run("systemctl", &["daemon-reload"])?;
    broad.run("systemctl", &["restart", UNIT])?;
    patched.wait_until_reported(HOSTS.len())?;
    patched.wait_until_offered("tool", "3.0-1", HOSTS.len() as u64)?;
    let rollout = patched.start_rollout(&["tool"])?;
    // Nobody in the last wave proved anything, so its gate asks a person.
    let detail = patched.wait_for_state(&rollout, "paused")?;
    let refused = row(&detail, "broad-1")?;
    ensure!(refused["state"] == "refused" && refused.to_string().contains("unsupported-feature"), "{refused:#}");
    ensure!(is_updated(&detail, "early-1")?, "{detail:#}");
    ensure!(broad.installed_version("tool")?.as_deref() == Some("2.0-1"), "what was refused was not begun");
    let explained = patched.controller.run(&["rollout", "explain", &rollout, "broad-1"])?;
    ensure!(explained.contains("checks-v1") && explained.contains("upgrade patchwave-agent"), "{explained}");
    let own = agent_status(&broad)?;
    ensure!(own.to_string().contains("checks-v1"), "the host's owner sees it, too: {own:#}");

    // What needs no checks, it can do.
    patched.controller.run(&["rollout", "abort", &rollout, "--reason", "an agent is too old"])?;
    patched.apply_policy(&policy_with("120s", LIMITS, &THREE_WAVES))?;
    let rollout = patched.start_rollout(&["tool"])?;
    patched.wait_for_state(&rollout, "completed")?;
    ensure!(broad.installed_version("tool")?.context("no tool")? == "3.0-1");
    Ok(())
}
