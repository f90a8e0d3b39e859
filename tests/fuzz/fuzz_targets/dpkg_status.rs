//! See `src/targets/dpkg_status.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("dpkg_status", data));
