//! What a user sees: help, errors with a hint, exit status.

use crate::support::{Controller, Host, Manner};

fn lines(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_explains_itself() {
    let host = Host::new(&[], &[]);
    for command in ["enroll", "run", "status", "inventory", "hold", "unhold", "doctor", "seal", "completions"] {
        let output = host.run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(output.stderr.is_empty() && lines(&output.stdout).contains("Usage:"), "{command}");
    }
}

#[test]
fn the_help_names_every_command_but_the_hidden_one() {
    let host = Host::new(&[], &[]);
    insta::assert_snapshot!(lines(&host.run(&["--help"]).stdout));
}

#[test]
fn wrong_use_ends_with_2_and_failure_with_1_each_with_a_hint() {
    let host = Host::new(&[], &[]);
    let shown = |arguments: &[&str]| {
        let output = host.run(arguments);
        let text = lines(&output.stderr).replace(host.path("").to_str().unwrap(), "[HOST]/");
        format!("$ patchwave-agent {}\n{text}exit {}\n", arguments.join(" "), output.status.code().unwrap())
    };
    let fingerprint = "ab".repeat(32);
    let enroll = ["enroll", "--controller", "https://localhost:1", "--fingerprint"];
    let all = [
        shown(&["status"]),
        shown(&["run"]),
        shown(&["hold", "--reason", " "]),
        shown(&[enroll.as_slice(), &["12"]].concat()),
        shown(&[enroll.as_slice(), &[&fingerprint]].concat()),
        shown(&[enroll.as_slice(), &[&fingerprint, "--token-file", "/nonexistent/token"]].concat()),
        shown(&["enroll", "--controller", "http://localhost:1", "--fingerprint", &fingerprint, "--token", "t"]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_wrong_fingerprint_or_token_is_refused_and_nothing_is_kept() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&[], &[]);
    let enroll = |fingerprint: &str, token: &str| {
        let arguments = ["enroll", "--controller", &controller.url, "--fingerprint", fingerprint, "--token", token];
        let output = host.run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let text = lines(&output.stderr);
        assert!(text.contains("hint:") && !text.contains(token), "{text}");
        text
    };
    let text = enroll(&"ab".repeat(32), "pw1.t-1.secret");
    assert!(text.contains("fingerprint"), "{text}");
    let text = enroll(&controller.fingerprint.to_string(), "pw1.t-1.forged");
    assert!(text.contains("expired"), "{text}");
    assert!(!host.state_dir().join("identity.toml").exists());
}

#[test]
fn enrolling_twice_is_refused_with_the_way_out() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&[], &[]);
    host.enrol(&controller);
    let fingerprint = controller.fingerprint.to_string();
    let output = host.run(&["enroll", "--controller", &controller.url, "--fingerprint", &fingerprint, "--token", controller.token()]);
    assert_eq!(output.status.code(), Some(1));
    let text = lines(&output.stderr);
    assert!(text.contains("enrolled already, as h-1") && text.contains("hint:"), "{text}");
}

#[test]
fn the_token_can_be_typed_in() {
    use std::io::Write as _;
    let controller = Controller::start(Manner::default());
    let host = Host::new(&[], &[]);
    let fingerprint = controller.fingerprint.to_string();
    let mut command = host.command(&["enroll", "--controller", &controller.url, "--fingerprint", &fingerprint, "--token-file", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(controller.token().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(lines(&output.stdout), format!("Enrolled as h-1 (managed) at {}\n", controller.url));
}

#[test]
fn the_inventory_is_shown_as_a_table_and_as_json_with_candidates_on_request() {
    let host = Host::new(&["db", "web"], &["web"]);
    insta::assert_snapshot!(lines(&host.run(&["inventory"]).stdout));
    insta::assert_snapshot!(lines(&host.run(&["inventory", "--candidates"]).stdout));
    let json = host.ask(&["inventory", "--candidates"]);
    assert_eq!(json["packages"][1]["candidate"]["to"], "2");
    assert_eq!(json["packages"][0]["mark"], "manual");
    assert!(json["packages"][0].get("candidate").is_none());
}

#[test]
fn a_misspelt_key_stops_every_command_and_the_doctor_names_it() {
    let host = Host::new(&[], &[]);
    std::fs::write(host.path("agent.toml"), "state_dirr = \"/x\"\n").unwrap();
    let output = host.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines(&output.stderr).contains("did you mean \"state_dir\"?"));
    let findings = host.ask_anyway(&["doctor"]);
    assert_eq!(findings[0]["check"], "configuration");
}

#[test]
fn a_sealed_machine_has_forgotten_who_it_was_and_can_enrol_again() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    let agent = host.start();
    controller.wait("the inventory", |state| state.inventory.as_ref().map(|_| ()));
    let refused = host.run(&["seal"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(lines(&refused.stderr).contains("stop the agent first"), "{}", lines(&refused.stderr));
    agent.stop();
    assert_eq!(lines(&host.run(&["seal"]).stdout), "Sealed: this machine is no longer h-1\n");
    let left: Vec<_> = std::fs::read_dir(host.state_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(host.run(&["status"]).status.code(), Some(1));
    host.enrol(&controller);
}

#[test]
fn completions_are_printed() {
    let host = Host::new(&[], &[]);
    let output = host.run(&["completions", "bash"]);
    assert!(lines(&output.stdout).contains("_patchwave__agent"));
}
