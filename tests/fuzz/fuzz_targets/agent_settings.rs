//! See `src/targets/agent_settings.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("agent_settings", data));
