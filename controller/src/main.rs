//! The program `patchwave`: the controller and its command line. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchwave::cli::main()
}
