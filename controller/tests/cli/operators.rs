//! Operators whose certificate ends, and the way back where nobody is left who can make another.

use std::path::Path;
use std::time::Duration;

use patchwave::cli::context::{Context, Contexts};
use patchwave::pki::{Authority, OPERATOR_LIFETIME, PkiFiles};
use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use patchwave_common::runtime::tls::KeyRequest;
use rustix::process::{Pid, Signal, kill_process};

use crate::fleet_of_one::{Serving, serve};
use crate::program::{Run, finish, program, run};

fn ask(home: &Path, url: &str, arguments: &[&str]) -> Run {
    finish(program(home).env("PATCHWAVE_CONTROLLER", url).args(arguments))
}

fn stop(serving: &mut Serving) {
    kill_process(Pid::from_raw(serving.process.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(serving.process.wait().unwrap().success());
}

#[test]
fn who_lost_the_only_admins_key_comes_back_on_the_controllers_machine_while_it_is_stopped() {
    for store in ["redb", "sled"] {
        let mut serving = Serving::start(store);
        let state = serving.home().join("state");
        let create = ["operator", "create", "anna", "--role", "admin", "-o", "json", "--state-dir", state.to_str().unwrap()];
        let beside = run(serving.home(), &create);
        assert_eq!(beside.status, 1, "{store}");
        assert!(beside.talk.contains("the controller runs on") && beside.talk.contains("hint: stop it first"), "{}", beside.talk);
        assert_eq!(serving.json(&["context", "list"]).as_array().unwrap().len(), 1, "nothing was made");

        stop(&mut serving);
        let made = run(serving.home(), &create);
        assert_eq!(made.status, 0, "{store}: {}", made.talk);
        let made: serde_json::Value = serde_json::from_str(&made.data).unwrap();
        assert_eq!((made["context"].as_str(), made["context_current"].as_bool()), (Some("anna"), Some(true)), "the old one is revoked");

        let (process, url) = serve(serving.home(), &state, "127.0.0.1:0");
        (serving.process, serving.url) = (process, url.clone());
        let operators = serving.json(&["operator", "list"]);
        assert_eq!((operators.as_array().unwrap().len(), operators[0]["role"].as_str()), (1, Some("admin")));
        let old = ask(serving.home(), &url, &["--context", "lab", "host", "list"]);
        assert_eq!(old.status, 1, "whoever found the lost key");
        assert!(old.talk.contains("revoked"), "{}", old.talk);
        let audit = serving.json(&["audit", "list", "--all"]);
        let entry = audit.as_array().unwrap().iter().find(|entry| entry["method"] == "operator.create").unwrap();
        assert_eq!(
            (entry["who"].as_str(), entry["about"].as_str(), entry["outcome"].as_str()),
            (Some("local"), Some("anna"), Some("done"))
        );
        assert!(serving.good(&["events"]).data.contains("on the controller's machine"));
    }
}

#[test]
fn what_is_no_controllers_directory_is_refused_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    for directory in [home.path().join("nowhere"), home.path().to_owned()] {
        let refused = run(home.path(), &["operator", "create", "anna", "--role", "admin", "--state-dir", directory.to_str().unwrap()]);
        assert_eq!((refused.status, refused.data.as_str()), (1, ""));
        assert!(refused.talk.contains("hint:"), "{}", refused.talk);
    }
}

/// Keeps a context of anna's whose certificate was made so long ago.
fn aged(home: &Path, url: &str, authority: &Authority, name: &str, days: u64) {
    let now = SystemClock::new().now();
    let then = Timestamp(now.0 - i64::try_from(Duration::from_secs(days * 86_400).as_millis()).unwrap());
    let key = KeyRequest::new().unwrap();
    let issued = authority.issue_operator(&key.request_der, &OperatorName::parse("anna").unwrap(), OPERATOR_LIFETIME, then).unwrap();
    let context =
        Context { url: url.to_owned(), authority: authority.certificate_pem().to_owned(), certificate: issued.chain_pem, key: key.key_pem };
    Contexts::at(&home.join(".config/patchwave")).save(name, &context).unwrap();
}

#[test]
fn every_call_warns_of_a_certificate_that_ends_soon_and_one_that_ended_is_told_with_the_way_back() {
    let serving = Serving::start("redb");
    let authority = PkiFiles::new(&serving.home().join("state/pki")).load().unwrap();
    for (name, days) in [("fresh", 350), ("soon", 360), ("late", 366)] {
        aged(serving.home(), &serving.url, &authority, name, days);
    }
    assert!(!serving.good(&["--context", "fresh", "host", "list"]).talk.contains("warning:"));
    for call in [&["host", "list", "-o", "json"][..], &["halt", "--status", "-o", "json"], &["rollout", "list", "-o", "json"]] {
        let warned = serving.good(&[&["--context", "soon"], call].concat());
        assert!(
            warned.talk.contains("warning:") && warned.talk.contains("`patchwave operator create anna --role ROLE`"),
            "{}",
            warned.talk
        );
        assert!(serde_json::from_str::<serde_json::Value>(&warned.data).is_ok(), "the warning is no data: {}", warned.data);
    }
    let late = serving.run(&["--context", "late", "host", "list"]);
    assert_eq!(late.status, 1);
    assert!(late.talk.contains("expired at") && late.talk.contains("--state-dir DIR"), "{}", late.talk);
}
