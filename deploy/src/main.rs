//! `patchwave-demo`: a whole fleet on one machine in one command. See `demo`.
//!
//! The demo is one binary that plays every part: it links controller and agent and starts itself again as either, so that it needs
//! nothing that `cargo run --bin patchwave-demo` did not build.

mod demo;

use std::process::ExitCode;

/// First argument that makes this program an agent.
pub(crate) const AS_AGENT: &str = "--as-patchwave-agent";
/// First argument that makes this program the controller and its command line.
pub(crate) const AS_CONTROLLER: &str = "--as-patchwave";

/// First argument with which an agent starts this program to carry out a transaction outside of itself.
const AS_TRANSACTION: &str = "run-transaction";

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let part = arguments.get(1).and_then(|part| part.to_str()).map(str::to_owned);
    match part.as_deref() {
        Some(AS_AGENT) => {
            demo::end_with_parent();
            arguments.remove(1);
            patchwave_agent::cli::main(arguments)
        }
        Some(AS_CONTROLLER) => {
            demo::end_with_parent();
            arguments.remove(1);
            patchwave::cli::run(arguments)
        }
        // What an agent starts for each transaction.
        Some(AS_TRANSACTION) => patchwave_agent::cli::main(arguments),
        _ => demo::main(),
    }
}
