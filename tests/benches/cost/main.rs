//! What the parts cost by themselves: `cargo bench -p patchwave-tests`. The whole is measured by `fleet-load`; numbers are in `tests/README.md`.
//!
//! One program for all benches: each is linked with everything, and a full build makes them too.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod engine;
mod messages;
mod status;
mod store;

// The engine's own tests know how to make a fleet and a world for it.
#[allow(dead_code)]
#[path = "../../../controller/tests/engine/agent.rs"]
mod agent;
#[allow(dead_code)]
#[path = "../../../controller/tests/engine/auditor.rs"]
mod auditor;
#[allow(dead_code)]
#[path = "../../../controller/tests/engine/fleet.rs"]
mod fleet;

criterion::criterion_group!(cost, status::bench, messages::bench, store::bench, engine::bench);
criterion::criterion_main!(cost);
