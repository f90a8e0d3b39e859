//! The controller killed with -9 at random instants, fifty times through whole rollouts, while agents are killed and hosts rebooted at
//! every step of their journals. In the end dpkg, apt's history and the controller tell the same story, and nothing happened twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use patchwave_debian_repository::{MaintainerScript, Package, ReleaseFields, Repository};
use patchwave_tests::{Fleet, Host};

use super::support::{Patched, THREE_WAVES, policy_with};

const HOSTS: [(&str, &str); 9] = [
    ("test-1", "test"),
    ("early-1", "early"),
    ("early-2", "early"),
    ("early-3", "early"),
    ("early-4", "early"),
    ("broad-1", "broad"),
    ("broad-2", "broad"),
    ("broad-3", "broad"),
    ("broad-4", "broad"),
];
const LIMITS: &str = "\n[limits]\nfailures = 99\nmax_unavailable = \"100%\"\n";
/// Kills of the controller; PATCHWAVE_TESTS_KILLS asks for more.
const KILLS: u32 = 50;
/// Longest life of the controller between two kills.
const LIFE_MS: u64 = 1_600;
/// Versions of the package that all is about: each rollout takes the next one.
const VERSIONS: u32 = 40;
/// Lengths of a journal at which hosts are struck: accepted, begun, ended, verifying, healthy, finished.
const LENGTHS: usize = 6;
/// Where the agent keeps a directory per directive.
const CASES: &str = "var/lib/patchwave-agent/patching/cases";

fn version(number: u32) -> String {
    format!("{number}.0-1")
}

fn package(number: u32) -> Package {
    let text = format!("{number}\n");
    let slow = Package::new("tool", &version(number)).conffile("/etc/tool.conf", 0o644, text.clone());
    slow.file("/usr/share/tool/version", 0o644, text).script(MaintainerScript::AfterInstallation, "sleep 0.3")
}

/// Random enough to meet every instant, and told, so that a failure can be looked at.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Whole records in the journal of the host's newest directive, and that directive's name. A journal is a mark of 8 bytes and then
/// records with a header of 16, which begins with the length.
fn newest_journal(host: &Host) -> Option<(String, usize)> {
    let cases = std::fs::read_dir(host.root().join(CASES)).ok()?;
    let named = cases.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let generation = |name: &String| {
        let (epoch, counter) = name.split_once('-')?;
        Some((epoch.parse::<u32>().ok()?, counter.parse::<u64>().ok()?))
    };
    let newest = named.max_by_key(generation)?;
    let bytes = std::fs::read(host.root().join(CASES).join(&newest).join("journal")).ok()?;
    let (mut offset, mut records) = (8, 0);
    while let Some(length) = bytes.get(offset..offset + 4) {
        offset += 16 + u32::from_le_bytes(length.try_into().ok()?) as usize;
        records += usize::from(offset <= bytes.len());
    }
    Some((newest, records))
}

/// Lets a random while pass: the instant is the point, so there is no event to wait for.
#[allow(clippy::disallowed_methods)]
fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// Strikes a host once in each new directive, when its journal has come to a length: the agent is killed or the host rebooted. Over two
/// rollouts the hosts between them meet both at every length. Gives what was done.
fn strike(host: &Host, number: usize, over: &AtomicBool) -> Result<Vec<String>> {
    let (mut struck, mut last, mut turn) = (Vec::new(), String::new(), number);
    while !over.load(Ordering::Relaxed) {
        pass(Duration::from_millis(3));
        let (wanted, reboots) = (turn % LENGTHS + 1, turn / LENGTHS % 2 == 1);
        let Some((case, records)) = newest_journal(host) else { continue };
        if case == last || records < wanted {
            continue;
        }
        if reboots {
            let boots = host.boots();
            host.run("systemctl", &["--no-block", "reboot"])?;
            host.wait_until_booted_again(boots)?;
        } else {
            host.kill_agent()?;
        }
        struck.push(format!("{} at {wanted}", if reboots { "rebooted" } else { "killed" }));
        (last, turn) = (case, turn + HOSTS.len());
    }
    Ok(struck)
}

/// Kills and starts the controller so often; whenever a rollout has ended, the next one is started.
fn torture(patched: &mut Patched, repository: &mut Repository, dice: &mut Dice, kills: u32, rollouts: &mut Vec<String>) -> Result<()> {
    let mut newest = 1;
    for _ in 0..kills {
        if ended(patched, rollouts.last())? {
            newest += 1;
            ensure!(newest < VERSIONS, "more rollouts than versions");
            repository.add(&package(newest))?;
            repository.publish()?;
            rollouts.push(start(patched, newest)?);
        }
        pass(Duration::from_millis(dice.below(LIFE_MS)));
        patched.controller.kill()?;
        patched.controller.serve()?;
    }
    Ok(())
}

#[test]
fn fifty_deaths_of_the_controller_and_deaths_at_every_step_lose_nothing_and_repeat_nothing() -> Result<()> {
    Fleet::test("kills", |fleet| {
        let (mut repository, server) = fleet.repository("tool", ReleaseFields::named("tool"))?;
        repository.add(&package(1))?;
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let mut patched = Patched::start(fleet, &HOSTS, |host| {
            host.write("/etc/patchwave/agent.toml", "[controller]\nretry_within = \"1s\"\n", "0600")?;
            host.add_source("tool", &source)?;
            host.apt_get(&["install", "tool"]).map(|_| ())
        })?;
        patched.apply_policy(&policy_with("90s", LIMITS, &THREE_WAVES))?;
        let kills = std::env::var("PATCHWAVE_TESTS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
        let seed = std::process::id().into();
        eprintln!("{kills} kills with seed {seed}");
        let (mut dice, over) = (Dice(seed), AtomicBool::new(false));
        let hosts: Vec<Arc<Host>> = patched.hosts.clone();
        let mut rollouts: Vec<String> = Vec::new();
        let (struck, detail) = std::thread::scope(|scope| {
            let over = &over;
            let strikers: Vec<_> = hosts.iter().zip(0..).map(|(host, number)| scope.spawn(move || strike(host, number, over))).collect();
            let tortured = torture(&mut patched, &mut repository, &mut dice, kills, &mut rollouts).and_then(|()| {
                let last = rollouts.last().context("no rollout was started")?;
                patched.wait_for_state(last, "completed")
            });
            over.store(true, Ordering::Relaxed);
            let struck: Vec<Result<Vec<String>>> =
                strikers.into_iter().map(|striker| striker.join().map_err(|_| anyhow::anyhow!("a striker panicked"))?).collect();
            Ok::<_, anyhow::Error>((struck.into_iter().collect::<Result<Vec<_>>>()?, tortured?))
        })?;
        for (host, struck) in hosts.iter().zip(&struck) {
            eprintln!("{}: {}", host.name(), struck.join(", "));
        }
        eprintln!("{} rollouts, the last: {:#}", rollouts.len(), detail["rollout"]);
        for rollout in &rollouts {
            let state = patched.rollout(rollout)?["rollout"]["state"].clone();
            ensure!(state == "completed", "rollout {rollout}, whose start was answered, is {state}");
        }
        for host in &hosts {
            patched.agrees_with_dpkg(host)?;
            ensure!(host.run("dpkg", &["--audit"])?.is_empty(), "{}: something is half done", host.name());
            ensure!(host.run("dpkg", &["--verify", "tool"])?.is_empty(), "{}: files differ from the package's", host.name());
            nothing_twice(host)?;
        }
        ensure!(!patched.controller.log().contains("panicked"), "{}", patched.controller.log());
        Ok(())
    })
}

/// Whether the rollout has ended, or there is none yet.
fn ended(patched: &Patched, rollout: Option<&String>) -> Result<bool> {
    let Some(rollout) = rollout else { return Ok(true) };
    let state = patched.rollout(rollout)?["rollout"]["state"].as_str().unwrap_or_default().to_owned();
    ensure!(!["stopped", "aborted", "needs-attention", "paused"].contains(&state.as_str()), "rollout {rollout} is {state}");
    Ok(state == "completed")
}

/// Starts the next rollout as soon as every host is there and offered the version.
fn start(patched: &Patched, newest: u32) -> Result<String> {
    patched.wait_until_reported(HOSTS.len())?;
    patched.wait_until_offered("tool", &version(newest), HOSTS.len() as u64)?;
    patched.start_rollout(&["tool"])
}

/// No version was brought onto the host twice, unless it was taken back in between.
fn nothing_twice(host: &Host) -> Result<()> {
    let history = host.apt_history()?;
    let actions: Vec<(&str, &str)> = history
        .iter()
        .flat_map(|transaction| transaction.actions.iter().map(|(action, packages)| (action.as_str(), packages.as_str())))
        .collect();
    for newest in 2..VERSIONS {
        let change = format!(", {})", version(newest));
        let times = |wanted: &str| actions.iter().filter(|(action, packages)| *action == wanted && packages.contains(&change)).count();
        let (up, back) = (
            times("Upgrade"),
            actions
                .iter()
                .filter(|(action, packages)| *action == "Downgrade" && packages.contains(&format!("({}, ", version(newest))))
                .count(),
        );
        ensure!(up <= 1 + back, "{}: {} was brought {up} times and taken back {back} times: {actions:#?}", host.name(), version(newest));
    }
    Ok(())
}
