//! See `src/targets/controller_settings.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("controller_settings", data));
