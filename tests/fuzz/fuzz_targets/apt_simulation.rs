//! See `src/targets/apt_simulation.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("apt_simulation", data));
