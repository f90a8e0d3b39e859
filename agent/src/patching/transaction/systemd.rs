//! Transient units: starting one, asking after one.

use std::path::Path;

use crate::packages::CommandSpec;
use crate::patching::Runner;
use crate::patching::machine::TransactionName;

/// At shutdown a transaction gets so long to finish before it is ended by force; a package takes seconds, an initramfs a minute.
const STOP_GRACE_SECS: u64 = 180;
/// Beyond the transaction's own time limit, before systemd ends what did not end itself.
const RUNTIME_SLACK_SECS: u64 = 300;
/// Asking systemd takes milliseconds unless it is busy; then the answer is worth waiting for.
const ASK_LIMIT_SECS: u64 = 60;
/// Out of memory, something else goes first: a half-configured system is worse than a restarted service.
const OOM_SCORE_ADJUST: i32 = -500;

/// What systemd says of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// It runs, or is about to start or to end.
    Present,
    /// It does not.
    Gone,
}

/// Whether transient units can be used: systemd runs this host and this process is root.
#[must_use]
pub fn is_available() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/run/systemd/system").is_dir()
}

/// The command that starts a transaction in its unit and returns at once.
#[must_use]
pub fn start_command(runner: &Runner, transaction: &TransactionName, directory: &Path, time_limit_secs: u64) -> CommandSpec {
    let mut arguments: Vec<String> = ["--quiet", "--no-block", "--collect", "--service-type=exec"].map(str::to_owned).to_vec();
    arguments.push(format!("--unit={transaction}"));
    arguments.push(format!("--description=Patchwave transaction {transaction}"));
    // Mixed: at shutdown only the runner is asked to end, and it does not, so that dpkg is not shot in the middle of a package.
    for property in [
        "KillMode=mixed".to_owned(),
        format!("TimeoutStopSec={STOP_GRACE_SECS}"),
        format!("RuntimeMaxSec={}", time_limit_secs.saturating_add(RUNTIME_SLACK_SECS)),
        "OOMPolicy=continue".to_owned(),
        format!("OOMScoreAdjust={OOM_SCORE_ADJUST}"),
    ] {
        arguments.push(format!("--property={property}"));
    }
    arguments.push("--".to_owned());
    arguments.push(runner.program.display().to_string());
    arguments.extend(runner.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()));
    arguments.push(directory.display().to_string());
    command("systemd-run", arguments, "start the transaction's unit")
}

/// The command that asks after a transaction's unit.
#[must_use]
pub fn show_command(transaction: &TransactionName) -> CommandSpec {
    let arguments = ["show", "--property=ActiveState", "--property=Job", "--", &format!("{transaction}.service")];
    command("systemctl", arguments.map(str::to_owned).to_vec(), "ask after the transaction's unit")
}

fn command(program: &str, arguments: Vec<String>, purpose: &str) -> CommandSpec {
    CommandSpec {
        program: program.to_owned(),
        arguments,
        environment: std::collections::BTreeMap::new(),
        time_limit_secs: ASK_LIMIT_SECS,
        purpose: purpose.to_owned(),
        may_fail: false,
    }
}

/// Reads the answer of [`show_command`]. A unit that waits for its start has no active state yet but a job.
#[must_use]
pub fn parse_show(answer: &str) -> UnitState {
    let value = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let is_active = !matches!(value("ActiveState="), None | Some("inactive" | "failed"));
    let has_job = !matches!(value("Job="), None | Some("" | "0"));
    if is_active || has_job { UnitState::Present } else { UnitState::Gone }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::patching::machine::Purpose;

    fn name() -> TransactionName {
        let case = patchwave_common::domain::Generation { epoch: 1, counter: 42 };
        TransactionName { case, purpose: Purpose::Apply, attempt: 1 }
    }

    #[test]
    fn the_unit_is_named_after_the_transaction_and_the_directory_comes_last() {
        let runner = Runner { program: "/usr/bin/patchwave-agent".into(), arguments: vec!["run-transaction".into()] };
        let spec = start_command(&runner, &name(), Path::new("/var/lib/x"), 100);
        assert!(spec.arguments.contains(&"--unit=patchwave-tx-1-42-apply-1".to_owned()));
        assert!(spec.arguments.contains(&"--property=RuntimeMaxSec=400".to_owned()));
        let end: Vec<_> = spec.arguments.iter().skip_while(|argument| *argument != "--").collect();
        assert_eq!(end, ["--", "/usr/bin/patchwave-agent", "run-transaction", "/var/lib/x"]);
    }

    #[test]
    fn a_unit_that_waits_for_its_start_is_present_and_one_that_ended_or_never_was_is_gone() {
        // As systemd 252 answers.
        for (answer, state) in [
            ("ActiveState=active\nJob=0\n", UnitState::Present),
            ("ActiveState=activating\nJob=211\n", UnitState::Present),
            ("ActiveState=deactivating\nJob=212\n", UnitState::Present),
            ("ActiveState=inactive\nJob=77\n", UnitState::Present),
            ("ActiveState=inactive\n", UnitState::Gone),
            ("ActiveState=failed\nJob=0\n", UnitState::Gone),
            ("", UnitState::Gone),
        ] {
            assert_eq!(parse_show(answer), state, "{answer:?}");
        }
    }
}
