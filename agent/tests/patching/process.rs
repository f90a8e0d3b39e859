//! An agent as a process of its own, that can be killed: this test binary, run again. It plays the session too.

use std::process::{Child, Command as Process, Stdio};

use patchwave_common::domain::DirectiveProgress;

use crate::desk::{Host, apply};

const DIRECTORY: &str = "PATCHWAVE_TEST_HOST";
const TARGET: &str = "PATCHWAVE_TEST_TARGET";
const GATES: &str = "PATCHWAVE_TEST_GATES";

/// An agent's process.
pub struct AgentProcess(Child);

impl AgentProcess {
    /// Starts it on the host; it orders itself to apply version `to` and stops at the gates named.
    pub fn start(host: &Host, to: &str, gates: &[&str]) -> Self {
        let child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_agents_process", "--ignored", "--test-threads=1"])
            .env(DIRECTORY, &host.directory)
            .env(TARGET, to)
            .env(GATES, gates.join(","))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it ended by itself, which it does when the directive came to rest.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
#[ignore = "the agent's process of other tests, not a test"]
async fn the_agents_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let host = Host { directory: directory.into() };
    let (to, gates) = (std::env::var(TARGET).unwrap(), std::env::var(GATES).unwrap());
    let gate = |name: &'static str| gates.split(',').any(|gate| gate == name).then(|| host.gate(name));
    let agent = host.start_gated(|gated| {
        gated.before_apply = gate("before-apply");
        gated.after_apply = gate("after-apply");
        gated.before_restore = gate("before-restore");
        gated.after_restore = gate("after-restore");
    });
    agent.connect().await;
    agent.order(apply(1, &to, true)).await;
    loop {
        let status = agent.handle.status();
        let current = status.borrow().history.as_ref().and_then(|history| history.current().cloned());
        match current {
            Some(
                DirectiveProgress::Healthy
                | DirectiveProgress::TakenBack
                | DirectiveProgress::Refused { .. }
                | DirectiveProgress::NeedsAttention { .. },
            ) => return,
            Some(DirectiveProgress::Ready) => agent.lease(1, 60_000).await,
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
