//! See `src/targets/wire_from_agent.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patchwave_fuzz::run("wire_from_agent", data));
