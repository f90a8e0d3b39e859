//! See `src/targets/wire_to_agent.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("wire_to_agent", data));
