//! See `src/targets/rollout_plan.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("rollout_plan", data));
