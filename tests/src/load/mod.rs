//! The load generator: many simulated agents on real mutual-TLS streams, and what they cost the server that they are connected to.
//!
//! Terms: a *subject* is a server under measurement, a process of its own: `patchwave serve` (started here in a temporary directory, on a
//! real store), a bare tonic server with the same TLS settings and one echoing stream per client, and nginx where it is installed. A
//! *worker* is a process that holds some of the simulated agents. A *phase* is what the workers do to a subject at once: connect, beat,
//! report, …; its CPU is the subject's own (`/proc/PID/stat`), so workers that share its cores change its duration and not its cost.
//!
//! Subjects and workers are this program, executed again. Everything is on loopback and ends with this process.

mod agent;
mod arguments;
mod bare;
mod disk;
mod exchange;
mod identities;
mod nginx;
mod orders;
mod patchwave;
mod process;
mod report;
mod run;
pub mod sample;
mod subject;
mod table;
mod tally;
mod tls;
mod worker;
mod workers;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Role};
// What the flood test starts and says.
pub use exchange::{Link, now};
pub use patchwave::Controller as LoadController;
pub use process::{Memory, Process};
pub use report::{Report, SCHEMA};
pub use tls::{Certificates, dial};
pub use world::{Content, facts, hello, host_id, package};

/// The whole program. Exit status 0 done, 1 a measurement failed, 2 wrong use.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.role {
        None => run::run(&arguments.load),
        Some(Role::Worker(arguments)) => worker::run(&arguments),
        Some(Role::BareServer(arguments)) => bare::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            talk(&format!("fleet-load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says something to people, who read standard error.
pub fn talk(line: &str) {
    use std::io::Write as _;
    // Nobody may be left who listens; the measurement does not need them.
    let _ = writeln!(std::io::stderr(), "{line}");
}
