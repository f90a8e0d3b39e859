//! From nothing to a running controller with the program alone, and what an operator does first.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Run, finish, program, run};

/// A controller process; killed if the test ends early.
pub struct Serving {
    pub process: Child,
    pub url: String,
    home: tempfile::TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serving {
    /// `init` and `serve` on a free port, as an operator would.
    pub fn start(store: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        let state_dir = state.to_str().unwrap();
        let init = run(
            home.path(),
            &[
                "init",
                "--state-dir",
                state_dir,
                "--trust-domain",
                "lab",
                "--name",
                "127.0.0.1",
                "--operator",
                "anna",
                "--store",
                store,
                "-o",
                "json",
            ],
        );
        assert_eq!(init.status, 0, "{}", init.talk);
        let made: serde_json::Value = serde_json::from_str(&init.data).unwrap();
        assert_eq!(
            (made["operator"].as_str(), made["context"].as_str(), made["context_current"].as_bool()),
            (Some("anna"), Some("lab"), Some(true))
        );
        assert!(init.talk.contains("patchwave serve"), "{}", init.talk);
        let (process, url) = serve(home.path(), &state, "127.0.0.1:0");
        Self { process, url, home }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.home.path());
        command.env("PATCHWAVE_CONTROLLER", &self.url).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(&mut self.command(arguments))
    }

    pub fn good(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.status, 0, "{arguments:?}: {}", run.talk);
        run
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.good(&[arguments, &["-o", "json"]].concat()).data).unwrap()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

/// Runs `serve`; where it listens, its log says.
pub fn serve(home: &Path, state: &Path, listen: &str) -> (Child, String) {
    let mut process = program(home)
        .args(["serve", "--state-dir", state.to_str().unwrap(), "--listen", listen, "--log-format", "json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = log.by_ref().find_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        entry["address"].as_str().map(str::to_owned)
    });
    // The log is read on, or the controller would stand still when the pipe is full.
    std::thread::spawn(move || log.for_each(drop));
    (process, format!("https://{}", address.expect("the controller says where it listens")))
}

#[test]
fn a_fleet_is_made_served_and_operated_by_the_program_alone() {
    let mut serving = Serving::start("redb");
    let empty = serving.good(&["host", "list"]);
    assert_eq!(empty.data, "");
    assert!(empty.talk.contains("patchwave token create"), "{}", empty.talk);

    let token = serving.good(&["token", "create", "--mode", "managed", "--label", "ring=test", "--ttl", "1h", "--uses", "50"]);
    assert_eq!(token.data.lines().count(), 1, "the secret alone is data");
    assert!(!token.talk.contains(token.data.trim()), "the secret is in no command that is shown");
    assert!(token.talk.contains("patchwave-agent enroll") && token.talk.contains(&serving.url), "{}", token.talk);
    let tokens = serving.json(&["token", "list"]);
    assert_eq!((tokens[0]["uses_left"].as_u64(), tokens[0]["state"].as_str()), (Some(50), Some("usable")));

    let policy = serving.home().join("policy.toml");
    std::fs::write(&policy, "name = \"all\"\n[[wave]]\nname = \"test\"\nkind = \"test\"\nhosts = \"ring=test\"\n").unwrap();
    serving.good(&["policy", "apply", "-f", policy.to_str().unwrap()]);
    assert_eq!(serving.json(&["policy", "list"])[0]["revision"].as_u64(), Some(1));
    assert!(serving.good(&["policy", "show", "all"]).data.contains("[[wave]]"));
    let nothing = serving.run(&["rollout", "plan", "--policy", "none"]);
    assert_eq!(nothing.status, 1);
    assert!(nothing.talk.contains("hint:"), "{}", nothing.talk);

    assert_eq!(serving.json(&["halt", "--status"])["halted"].as_bool(), Some(false));
    serving.good(&["halt", "--reason", "drill"]);
    assert_eq!(serving.json(&["halt", "--status"])["reason"].as_str(), Some("drill"));
    serving.good(&["halt", "--lift"]);

    let audit = serving.json(&["audit", "list", "--all"]);
    let methods: Vec<&str> = audit.as_array().unwrap().iter().filter_map(|entry| entry["method"].as_str()).collect();
    assert!(methods.contains(&"token.create") && methods.contains(&"halt.set"), "{methods:?}");

    let backup = serving.home().join("fleet.backup");
    serving.good(&["backup", backup.to_str().unwrap()]);

    let id = Pid::from_raw(serving.process.id().cast_signed()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert!(serving.process.wait().unwrap().success(), "SIGTERM ends it in order");
    let gone = serving.run(&["host", "list"]);
    assert_eq!(gone.status, 1);
    assert!(
        gone.talk.contains(serving.url.trim_start_matches("https://")) && gone.talk.contains("systemctl status patchwave"),
        "{}",
        gone.talk
    );
}

#[test]
fn a_backup_restores_to_another_kind_of_store_with_a_higher_epoch_and_the_old_contexts() {
    let serving = Serving::start("redb");
    serving.good(&["token", "create", "--mode", "managed", "--uses", "7"]);
    let backup = serving.home().join("fleet.backup");
    serving.good(&["backup", backup.to_str().unwrap()]);
    let state = serving.home().join("restored");
    let arguments = ["restore", backup.to_str().unwrap(), "--state-dir", state.to_str().unwrap(), "--name", "127.0.0.1", "--store", "sled"];
    let restored = run(serving.home(), &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(restored.status, 0, "{}", restored.talk);
    let restored: serde_json::Value = serde_json::from_str(&restored.data).unwrap();
    assert!(restored["epoch"].as_u64() > Some(1), "{restored}");
    let again = run(serving.home(), &arguments);
    assert_eq!(again.status, 1, "what is there is not written over");

    let (process, url) = serve(serving.home(), &state, "127.0.0.1:0");
    let moved = Serving { process, url, home: tempfile::tempdir().unwrap() };
    let tokens = finish(program(serving.home()).env("PATCHWAVE_CONTROLLER", &moved.url).args(["token", "list", "-o", "json"]));
    assert_eq!(tokens.status, 0, "{}", tokens.talk);
    assert!(tokens.data.contains("\"uses_left\":7"), "{}", tokens.data);
}

#[test]
fn followed_events_go_on_where_they_were_when_the_controller_was_killed_and_came_back() {
    let mut serving = Serving::start("redb");
    let policy = serving.home().join("policy.toml");
    let apply = |serving: &Serving, name: &str| {
        std::fs::write(&policy, format!("name = \"{name}\"\n[[wave]]\nname = \"test\"\n")).unwrap();
        serving.good(&["policy", "apply", "-f", policy.to_str().unwrap()]);
    };
    apply(&serving, "first");
    let mut following =
        serving.command(&["events", "--follow", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    let first = next();
    assert!(first["text"].as_str().unwrap().contains("first"), "{first}");

    serving.process.kill().unwrap();
    serving.process.wait().unwrap();
    let (process, url) = serve(serving.home(), &serving.home().join("state"), serving.url.trim_start_matches("https://"));
    assert_eq!(url, serving.url);
    serving.process = process;
    apply(&serving, "second");
    let second = next();
    assert!(second["text"].as_str().unwrap().contains("second"), "{second}");
    assert_eq!(second["number"].as_u64(), first["number"].as_u64().map(|number| number + 1), "nothing twice, nothing missed");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn an_operator_gets_a_context_a_role_and_is_refused_when_revoked() {
    let serving = Serving::start("sled");
    serving.good(&["operator", "create", "ben", "--role", "viewer"]);
    let contexts = serving.json(&["context", "list"]);
    let names: Vec<&str> = contexts.as_array().unwrap().iter().filter_map(|context| context["name"].as_str()).collect();
    assert_eq!(names, ["ben", "lab"]);
    assert!(!contexts.to_string().contains("PRIVATE"));

    serving.good(&["--context", "ben", "host", "list"]);
    let denied = serving.run(&["--context", "ben", "token", "create", "--mode", "managed"]);
    assert_eq!(denied.status, 1);
    assert!(denied.talk.contains("operator ben may not do this") && denied.talk.contains("role operator"), "{}", denied.talk);

    serving.good(&["operator", "revoke", "ben"]);
    let refused = serving.run(&["--context", "ben", "host", "list"]);
    assert_eq!(refused.status, 1);
    assert!(refused.talk.contains("revoked") && refused.talk.contains("hint:"), "{}", refused.talk);
    let operators = serving.json(&["operator", "list"]);
    let ben = operators.as_array().unwrap().iter().find(|operator| operator["name"] == "ben").unwrap();
    assert_eq!(ben["revoked"].as_bool(), Some(true));

    // The same name again is a new certificate in a context of its own; the old one is nobody's to overwrite.
    serving.good(&["operator", "create", "ben", "--role", "admin"]);
    serving.good(&["context", "use", "ben-2"]);
    let shown = serving.json(&["context", "show"]);
    assert_eq!((shown["operator"].as_str(), shown["current"].as_bool(), shown["problem"].as_str()), (Some("ben"), Some(true), Some("")));
    serving.good(&["operator", "list"]);
}

#[test]
fn another_fleets_controller_is_not_talked_to() {
    let (ours, theirs) = (Serving::start("redb"), Serving::start("redb"));
    let refused = finish(ours.command(&["host", "list"]).env("PATCHWAVE_CONTROLLER", &theirs.url));
    assert_eq!(refused.status, 1);
    assert!(refused.talk.contains("not accepted as the controller") && refused.talk.contains("hint:"), "{}", refused.talk);
}

#[test]
fn init_touches_nothing_that_is_there() {
    let serving = Serving::start("redb");
    let state = serving.home().join("state");
    let arguments = ["init", "--state-dir", state.to_str().unwrap(), "--trust-domain", "lab", "--name", "localhost", "--operator", "eve"];
    let again = run(serving.home(), &arguments);
    assert_eq!(again.status, 1);
    assert!(again.talk.contains("not empty") && again.talk.contains("hint:"), "{}", again.talk);
    serving.good(&["host", "list"]);

    let other = serving.home().join("other");
    let second = run(
        serving.home(),
        &["init", "--state-dir", other.to_str().unwrap(), "--trust-domain", "lab", "--name", "localhost", "--operator", "eve"],
    );
    assert_eq!(second.status, 0, "{}", second.talk);
    assert!(second.talk.contains("patchwave context use lab-2"), "{}", second.talk);
    serving.good(&["host", "list"]);
}
