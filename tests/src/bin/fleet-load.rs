//! Measures what a live agent costs the controller, beside a bare tonic server and nginx. See `--help` and `tests/README.md`.

fn main() -> std::process::ExitCode {
    patchwave_tests::load::main()
}
