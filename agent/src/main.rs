//! The program `patchwave-agent`; everything is in the library, so that the demo and the tests can be the agent too.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchwave_agent::cli::main(std::env::args_os())
}
