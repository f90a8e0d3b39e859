//! See `src/targets/rollout_event.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("rollout_event", data));
