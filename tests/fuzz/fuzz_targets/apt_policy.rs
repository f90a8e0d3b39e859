//! See `src/targets/apt_policy.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("apt_policy", data));
