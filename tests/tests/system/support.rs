//! What the scenarios share: an enrolled fleet, a rollout carried out by the command line, and looks at both ends.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use patchwave_debian_repository::{MaintainerScript, Package};
use patchwave_tests::{AgentInstallation, Binaries, Controller, Finished, Fleet, Host, wait_for};
use serde_json::Value;

/// Longest wait for a report: apt's resolver on a loaded machine.
pub const REPORT: Duration = Duration::from_secs(120);
/// Longest rollout.
pub const ROLLOUT: Duration = Duration::from_secs(300);

/// A policy with spans for tests; `more` are further sections, `waves` the waves by name, kind, hosts and size (with further
/// keys, each on a line of its own).
pub fn policy(more: &str, waves: &[(&str, &str, &str, &str)]) -> String {
    policy_with("25s", more, waves)
}

/// As [`policy`], with a silence that suits the test.
pub fn policy_with(silence: &str, more: &str, waves: &[(&str, &str, &str, &str)]) -> String {
    let mut text =
        format!("name = \"test\"\n[health]\npatience = \"3s\"\ninterval = \"500ms\"\nsettle = \"2s\"\nsilence = \"{silence}\"\n");
    text.push_str(more);
    for (name, kind, hosts, size) in waves {
        text.push_str(&format!(
            "\n[[wave]]\nname = \"{name}\"\nkind = \"{kind}\"\nhosts = \"{hosts}\"\nsize = {size}\nsoak = \"2s\"\ntime_limit = \"4m\"\n"
        ));
    }
    text
}

/// Test ring, canaries, and the rest.
pub const THREE_WAVES: [(&str, &str, &str, &str); 3] =
    [("test ring", "test", "ring=test", "\"all\""), ("canaries", "canary", "ring=early", "\"all\""), ("rest", "production", "", "\"all\"")];

/// While this is there, a package with [`stop_at_the_gate`] is not configured; it is gone after a reboot.
pub const GATE: &str = "/run/patchwave-tests-gate";
/// Says that dpkg has come to the gate.
pub const AT_THE_GATE: &str = "/run/patchwave-tests-at-the-gate";

/// The package, whose configuration stops at the gate while it is closed: dpkg stands in the middle.
pub fn stop_at_the_gate(package: Package) -> Package {
    let wait = format!("if [ -e {GATE} ]; then : >{AT_THE_GATE}; while [ -e {GATE} ]; do sleep 0.1; done; fi");
    package.script(MaintainerScript::AfterInstallation, &wait)
}

/// Waits until dpkg stands at the gate.
pub fn wait_at_the_gate(host: &Host) -> Result<()> {
    wait_for(&format!("dpkg at the gate on {}", host.name()), REPORT, || Ok(host.exists(AT_THE_GATE)?.then_some(())))
}

/// A host's row of a rollout's detail.
pub fn row<'a>(detail: &'a Value, host: &str) -> Result<&'a Value> {
    let rows = detail["hosts"].as_array().context("no hosts")?;
    rows.iter().find(|row| row["name"] == host).with_context(|| format!("{host} is not in {detail:#}"))
}

/// Whether the host got its update and proved healthy.
pub fn is_updated(detail: &Value, host: &str) -> Result<bool> {
    let state = &row(detail, host)?["state"];
    Ok(*state == "healthy" || *state == "concluded")
}

/// What `patchwave-agent status` says on a host.
pub fn agent_status(host: &Host) -> Result<Value> {
    Ok(serde_json::from_str(&host.agent(&["status", "-o", "json"])?.into_stdout("status")?)?)
}

/// `patchwave-agent enroll` on a host, whatever becomes of it.
pub fn enroll(controller: &Controller, host: &Host, secret: &str, fingerprint: &str) -> Result<Finished> {
    host.write("/root/join-token", secret, "0600")?;
    let url = format!("https://{}", controller.address());
    host.agent(&["enroll", "--controller", &url, "--fingerprint", fingerprint, "--token-file", "/root/join-token"])
}

/// A fresh token: its secret and the authority's fingerprint.
pub fn token(controller: &Controller, mode: &str, ring: &str, more: &[&str]) -> Result<(String, String)> {
    let label = format!("ring={ring}");
    let mut arguments = vec!["token", "create", "--mode", mode, "--label", &label];
    arguments.extend(more);
    let made = controller.json(&arguments)?;
    let text = |key: &str| made[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {made}"));
    Ok((text("secret")?, text("authority_fingerprint")?))
}

/// Installs an agent, enrols and starts it.
pub fn enrol_with(controller: &Controller, host: &Host, mode: &str, ring: &str, agent: &AgentInstallation) -> Result<()> {
    host.install_agent(agent)?;
    let (secret, fingerprint) = token(controller, mode, ring, &["--ttl", "1h", "--uses", "1"])?;
    enroll(controller, host, &secret, &fingerprint)?.into_stdout("patchwave-agent enroll")?;
    host.start_agent()
}

/// A controller and its enrolled hosts.
pub struct Patched {
    pub controller: Controller,
    pub hosts: Vec<Arc<Host>>,
    pub binaries: Binaries,
}

impl Patched {
    /// Boots hosts by (name, ring); `prepare` runs in each before its agent starts.
    pub fn start(fleet: &Fleet, hosts: &[(&str, &str)], prepare: impl Fn(&Host) -> Result<()>) -> Result<Self> {
        let binaries = Binaries::find()?;
        let controller = Controller::start(fleet, &binaries)?;
        let names: Vec<&str> = hosts.iter().map(|(name, _)| *name).collect();
        let booted = fleet.hosts(&names)?;
        let patched = Self { controller, hosts: booted, binaries };
        for (host, (_, ring)) in patched.hosts.iter().zip(hosts) {
            prepare(host)?;
            patched.enrol(host, "managed", ring)?;
        }
        patched.wait_until_reported(hosts.len())?;
        Ok(patched)
    }

    /// One of its hosts.
    pub fn host(&self, name: &str) -> Result<Arc<Host>> {
        self.hosts.iter().find(|host| host.name() == name).cloned().with_context(|| format!("no host is named {name}"))
    }

    /// Installs the agent, enrols and starts it.
    pub fn enrol(&self, host: &Host, mode: &str, ring: &str) -> Result<()> {
        enrol_with(&self.controller, host, mode, ring, &AgentInstallation::usual(&self.binaries))
    }

    /// Waits until so many hosts are online with an inventory.
    pub fn wait_until_reported(&self, wanted: usize) -> Result<()> {
        wait_for("every host's first report", REPORT, || {
            let hosts = self.controller.json(&["host", "list"])?;
            let there = hosts
                .as_array()
                .map_or(0, |hosts| hosts.iter().filter(|host| host["presence"] == "online" && host["packages"].as_u64() > Some(0)).count());
            Ok((there == wanted).then_some(()))
        })
    }

    /// Asks every host to look at its archive and waits until so many are offered that version.
    pub fn wait_until_offered(&self, package: &str, version: &str, wanted: u64) -> Result<()> {
        self.controller.run(&["host", "refresh"])?;
        wait_for(&format!("{wanted} hosts to be offered {package} {version}"), REPORT, || {
            let updates = self.controller.json(&["update", "list"])?;
            let rows = updates.as_array().map_or(&[][..], Vec::as_slice);
            let hosts = rows.iter().filter(|row| row["name"] == package && row["to_version"] == version);
            Ok((hosts.filter_map(|row| row["hosts"].as_u64()).sum::<u64>() == wanted).then_some(()))
        })
    }

    /// Applies a policy.
    pub fn apply_policy(&self, text: &str) -> Result<()> {
        let path = self.controller.directory().join("policy.toml");
        std::fs::write(&path, text)?;
        self.controller.run(&["policy", "apply", "-f", &path.display().to_string()]).map(|_| ())
    }

    /// Plans and starts; gives the rollout's id.
    pub fn start_rollout(&self, updates: &[&str]) -> Result<String> {
        let mut arguments = vec!["rollout", "plan", "--policy", "test"];
        for update in updates {
            arguments.extend(["--update", update]);
        }
        let plan = self.controller.json(&arguments)?;
        let id = plan["rollout"]["id"].as_str().with_context(|| format!("no rollout in {plan}"))?.to_owned();
        self.controller.run(&["rollout", "start", &id])?;
        Ok(id)
    }

    /// The rollout as it is.
    pub fn rollout(&self, id: &str) -> Result<Value> {
        self.controller.json(&["rollout", "show", id])
    }

    /// Waits until the rollout is in that state; an end in another one is an error that tells the reason.
    pub fn wait_for_state(&self, id: &str, wanted: &str) -> Result<Value> {
        wait_for(&format!("rollout {id} to be {wanted}"), ROLLOUT, || {
            let detail = self.rollout(id)?;
            let state = detail["rollout"]["state"].as_str().unwrap_or_default();
            if state == wanted {
                return Ok(Some(detail));
            }
            let ended = ["stopped", "aborted", "completed", "needs-attention", "paused"].contains(&state);
            ensure!(!ended, "rollout {id} is {state}: {detail:#}");
            Ok(None)
        })
    }

    /// The controller's packages of a host equal dpkg's own, name by name and version by version.
    pub fn agrees_with_dpkg(&self, host: &Host) -> Result<()> {
        let format = "--showformat=${db:Status-Status} ${Package}:${Architecture} ${Version}\n";
        let own = host.run("dpkg-query", &["--show", format])?;
        let mut wanted: Vec<&str> = own.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
        wanted.sort_unstable();
        wait_for(&format!("the controller to know what {} has", host.name()), REPORT, || {
            let shown = self.controller.json(&["host", "show", host.name()])?;
            let packages = shown["packages"].as_array().context("no packages")?;
            let mut reported: Vec<String> = packages
                .iter()
                .filter(|package| package["state"] == "installed")
                .map(|package| {
                    let text = |key: &str| package[key].as_str().unwrap_or_default();
                    format!("{}:{} {}", text("name"), text("architecture"), text("version"))
                })
                .collect();
            reported.sort_unstable();
            Ok((reported == wanted).then_some(()))
        })
    }
}
