//! The harness's handling of programs, tried with stand-ins that do nothing but run: a controller beside the hosts, an agent in one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use patchwave_tests::{AgentInstallation, Binaries, Controller, Fleet, wait_for};

/// Answers as a controller's command line would; `serve` listens on the last argument. Perl is essential on Debian.
const CONTROLLER: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$| = 1;
if ($ARGV[0] eq "serve") {
    print "serving\n";
    $SIG{TERM} = sub { exit 0 };
    my $socket = IO::Socket::INET->new(LocalAddr => $ARGV[-1], Listen => 5, ReuseAddr => 1) or die "listen: $!";
    1 while $socket->accept;
}
die "unknown verb\n" if $ARGV[0] eq "nonsense";
print "{\"verb\": \"$ARGV[0]\", \"home\": \"$ENV{XDG_CONFIG_HOME}\"}\n";
"#;

/// An agent that counts its starts.
const AGENT: &str = r#"#!/bin/sh
case "$1" in
run) echo started >>/var/lib/stand-in; echo "stand-in runs"; exec sleep infinity;;
*) echo "stand-in $1";;
esac
"#;

const UNIT: &str =
    "[Service]\nExecStart=/usr/bin/patchwave-agent run\nRestart=always\nRestartSec=0\n[Install]\nWantedBy=multi-user.target\n";

fn executable(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[test]
fn a_controller_and_an_agent_are_started_killed_and_started_again() -> Result<()> {
    Fleet::test("programs", |fleet| {
        let directory = fleet.directory("stand-ins")?;
        let binaries = Binaries {
            patchwave: executable(&directory, "patchwave", CONTROLLER)?,
            patchwave_agent: executable(&directory, "patchwave-agent", AGENT)?,
            patchwave_demo: None,
        };
        drives_a_controller(fleet, &binaries)?;

        let host = fleet.host("agent")?;
        let unit = directory.join("patchwave-agent.service");
        fs::write(&unit, UNIT)?;
        let installation = AgentInstallation { unit, ..AgentInstallation::usual(&binaries) };
        host.install_agent(&installation.with_file("/etc/patchwave/agent.toml", "a = 1\n", "0600"))?;
        assert_eq!(host.run("stat", &["--format=%a %U", "/etc/patchwave/agent.toml"])?, "600 root\n");
        assert_eq!(host.agent(&["status"])?.stdout, "stand-in status\n");
        host.start_agent()?;
        let starts = |wanted: usize| {
            let what = format!("the agent's start number {wanted}");
            let lines = || Ok(host.read("/var/lib/stand-in").is_ok_and(|text| text.lines().count() == wanted).then_some(()));
            wait_for(&what, Duration::from_secs(20), lines)
        };
        starts(1)?;
        host.kill_agent()?;
        starts(2)?;
        host.reboot()?;
        starts(3)?;
        host.stop_agent()?;
        assert!(host.agent_journal()?.contains("stand-in runs"));
        assert_eq!(host.failed_units()?, Vec::<String>::new());
        Ok(())
    })
}

fn drives_a_controller(fleet: &Fleet, binaries: &Binaries) -> Result<()> {
    let mut controller = Controller::start(fleet, binaries)?;
    assert_eq!(controller.json(&["host", "list"])?["verb"], "host");
    let context = controller.directory().join("config").display().to_string();
    assert_eq!(controller.json(&["events"])?["home"], context.as_str());
    let refused = controller.try_run(&["nonsense"])?;
    assert_ne!(refused.code(), 0);
    assert_eq!(refused.stderr, "unknown verb\n");
    controller.kill()?;
    assert!(controller.kill().is_err(), "it is dead already");
    controller.serve()?;
    controller.stop()?;
    assert_eq!(controller.log().matches("serving").count(), 2);
    Ok(())
}
