//! See `src/targets/selector.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("selector", data));
