//! Removes what killed system tests left on this machine. `tests/run` calls it when it is interrupted.
#![allow(clippy::print_stdout)]

fn main() -> anyhow::Result<()> {
    println!("{} abandoned fleets swept", patchwave_tests::sweep_abandoned()?);
    Ok(())
}
