//! Managed and report-only hosts, hold, stop, and one agent a state directory.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::{
    ApplyOrder, Directive, DirectiveProgress, Feature, FromAgent, Generation, HostMode, Manager, Order, PackageTarget, RefusalReason,
    RolloutId, StopCause, TargetSet, ToAgent,
};

use crate::support::{Controller, Host, Manner, eventually, mode_of};

fn apply(controller: &Controller) -> Directive {
    let set = controller.wait("the candidates", |state| state.candidates.clone());
    let candidate = &set.candidates[0];
    let target = PackageTarget {
        id: candidate.id.clone(),
        from: candidate.from.clone(),
        to: candidate.to.clone(),
        source: candidate.source.clone(),
        origin: candidate.origin.short(),
        sha256: candidate.sha256,
        size_bytes: candidate.size_bytes,
    };
    let policy = "name = \"p\"\n[health]\npatience = \"2s\"\ninterval = \"1s\"\nsettle = \"1s\"\n[[wave]]\nname = \"a\"\n";
    let policy = parse_policy(policy).unwrap();
    let order = ApplyOrder {
        targets: TargetSet::new(Manager::Simulated, vec![target]).unwrap(),
        transaction: policy.transaction,
        health: policy.health,
        automatic_rollback: true,
    };
    Directive {
        generation: Generation { epoch: 1, counter: 1 },
        rollout: RolloutId::parse("r-1").unwrap(),
        requires: vec![Feature(Feature::APPLY_V1.to_owned())],
        order: Order::Apply(order),
    }
}

#[test]
fn a_managed_host_carries_a_directive_out_to_healthy_and_reports_what_it_has_then() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web"], &["web"]);
    host.enrol(&controller);
    let _agent = host.start();
    let directive = apply(&controller);
    controller.say(&ToAgent::Directive(Box::new(directive.clone())));
    controller.wait("healthy", |state| state.progress().contains(&"Healthy".to_owned()).then_some(()));
    let told = controller.state().progress();
    assert_eq!(told, ["Accepted", "Ready", "Applying", "Verifying", "Healthy"]);
    controller.wait("the new inventory", |state| {
        state.inventory.as_ref().unwrap().iter().all(|package| package.version.as_str() == "2").then_some(())
    });
    let keep_originals = Duration::from_secs(60);
    controller.say(&ToAgent::Conclude { generation: directive.generation, keep_originals });
    eventually("the end of the directive", || {
        let status = host.ask(&["status"]);
        (status["directive"]["state"] == "idle").then_some(())
    });
}

#[test]
fn a_report_only_host_refuses_every_directive_and_has_no_feature() {
    let controller = Controller::start(Manner { mode: HostMode::ReportOnly, ..Manner::default() });
    let host = Host::new(&["web"], &["web"]);
    host.enrol(&controller);
    let _agent = host.start();
    let directive = apply(&controller);
    controller.say(&ToAgent::Directive(Box::new(directive)));
    controller.wait("the refusal", |state| {
        state.heard.iter().find_map(|heard| match heard {
            FromAgent::Progress { progress: DirectiveProgress::Refused { reason: RefusalReason::ReportOnly, .. }, .. } => Some(()),
            FromAgent::Progress { progress, .. } => panic!("{progress:?}"),
            _ => None,
        })
    });
    assert!(controller.state().hellos()[0].features.is_empty());
    assert!(!host.state_dir().join("patching").exists(), "a report-only agent keeps no journal");
}

#[test]
fn a_hold_is_reported_and_lifted() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    controller.wait("the hello", |state| state.hellos().first().map(|hello| assert_eq!(hello.facts.hold, None)));
    assert!(host.run(&["hold", "--reason", "quarter end"]).status.success());
    let holds = |wanted: Option<&str>| {
        controller.wait("the fact", |state| {
            let last = state.heard.iter().rev().find_map(|heard| if let FromAgent::Facts(facts) = heard { Some(facts) } else { None })?;
            (last.hold.as_deref() == wanted).then_some(())
        });
    };
    holds(Some("quarter end"));
    assert!(host.run(&["unhold"]).status.success());
    holds(None);
}

#[test]
fn a_stopped_agent_says_why_and_stays_away() {
    let controller = Controller::start(Manner { stop: Some(StopCause::Retired), ..Manner::default() });
    let host = Host::new(&[], &[]);
    host.enrol(&controller);
    let agent = host.start();
    let status = eventually("the status", || {
        let status = host.ask(&["status"]);
        (status["agent"]["session"]["link"]["state"] == "stopped").then_some(status)
    });
    assert_eq!(status["agent"]["session"]["link"]["why"], "retired: ask Dana");
    assert!(agent.log().contains("THE CONTROLLER STOPPED THIS AGENT"));
    let text = String::from_utf8(host.run(&["status"]).stdout).unwrap();
    assert!(text.contains("STOPPED BY THE CONTROLLER: retired: ask Dana"), "{text}");
    assert_eq!(controller.state().hellos().len(), 1);
    let findings = host.ask_anyway(&["doctor", "--offline"]);
    assert!(findings.to_string().contains("the controller stopped this agent"), "{findings}");
}

#[test]
fn a_second_agent_on_one_state_directory_is_refused_and_systemd_hears_of_the_first() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&[], &[]);
    host.enrol(&controller);
    let socket = host.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut command = host.command(&["run"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let agent = host.start_with(command);
    let mut heard = String::new();
    while !(heard.contains("READY=1") && heard.contains("WATCHDOG=1") && heard.contains("connected to https://localhost")) {
        let mut bytes = [0; 500];
        let length = systemd.recv(&mut bytes).unwrap();
        heard += &String::from_utf8_lossy(&bytes[..length]);
    }
    let second = host.run(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another agent runs on"));
    assert_eq!((mode_of(&host.state_dir()), mode_of(&host.state_dir().join("status.json"))), (0o700, 0o640));
    let (ended, took) = agent.stop();
    assert!(ended.success() && took < Duration::from_secs(2), "{ended} after {took:?}");
}

#[test]
fn a_clock_that_is_off_is_shown_and_found_by_the_doctor() {
    let controller = Controller::start(Manner { clock_ahead_ms: 2 * 3600 * 1000, ..Manner::default() });
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    eventually("the status", || host.ask(&["status"])["agent"]["session"]["clock_ahead_ms"].as_i64());
    let text = String::from_utf8(host.run(&["status"]).stdout).unwrap();
    assert!(text.contains("s behind the controller's"), "{text}");
    let findings = host.ask_anyway(&["doctor", "--offline"]);
    let clock = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "clock").unwrap();
    assert_eq!(clock["severity"], "error");
}
