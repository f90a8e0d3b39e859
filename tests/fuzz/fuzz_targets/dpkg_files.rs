//! See `src/targets/dpkg_files.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("dpkg_files", data));
