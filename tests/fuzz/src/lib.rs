//! Fuzz targets: each feeds any bytes to one decoder of bytes that others wrote, and checks what must hold whatever they are.
//!
//! "No panic" holds everywhere (libFuzzer and the replay test see one); arithmetic that overflows is one too, since the release profile
//! checks it. Beyond that each target states its own invariant at its head; `README.md` has the table. A target is a function, so that
//! libFuzzer (`run`, `cargo fuzz`) and an ordinary test (`tests/replay.rs`) call the same one. Nothing here ships.
// A broken invariant has to end the process: that is what a fuzzer looks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clean;
mod pieces;
pub mod targets;

pub use clean::{assert_clean, assert_fit};

/// One decoder under test.
pub struct Target {
    /// Name of the target, of its corpus folder and of its program.
    pub name: &'static str,
    /// Feeds bytes and checks what must hold; panics where it does not.
    pub run: fn(&[u8]),
    /// Inputs made by our own encoders and from our own fixtures, from which fuzzing starts.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! table {
    ($($name:ident),+ $(,)?) => {
        &[$(Target { name: stringify!($name), run: targets::$name::run, seeds: targets::$name::seeds }),+]
    };
}

/// Every target.
pub const TARGETS: &[Target] = table!(
    wire_from_agent,
    wire_to_agent,
    enrolment,
    operator_request,
    store_record,
    store_row,
    backup,
    rollout_event,
    rollout_plan,
    rollout_step,
    policy,
    selector,
    values,
    agent_settings,
    controller_settings,
    dpkg_status,
    dpkg_files,
    apt_policy,
    apt_simulation,
    tool_output,
    journal,
    agent_state,
    certificate,
    versions,
    osv_record,
    openvex,
    kev,
    ssvc,
    epss,
);

/// The target of that name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no fuzz target {name:?}"))
}

/// Feeds bytes to a target.
///
/// # Panics
/// There is no such target, or what must hold does not.
pub fn run(name: &str, data: &[u8]) {
    (target(name).run)(data);
}

/// Writes every target's seeds into `corpus/TARGET/seed-NUMBER`.
///
/// # Panics
/// They cannot be written.
pub fn write_seeds(corpus: &std::path::Path) {
    for target in TARGETS {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
