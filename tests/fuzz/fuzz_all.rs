//! Every target in one program; `PATCHWAVE_FUZZ_TARGET` says which. Made for `tests/fuzz/run`.
//! `PATCHWAVE_FUZZ_WRITE_SEEDS` is a corpus that every target's seeds are written into first.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<&patchwave_fuzz::Target> = LazyLock::new(|| {
    if let Some(corpus) = std::env::var_os("PATCHWAVE_FUZZ_WRITE_SEEDS") {
        patchwave_fuzz::write_seeds(std::path::Path::new(&corpus));
    }
    let name = std::env::var("PATCHWAVE_FUZZ_TARGET").unwrap_or_default();
    patchwave_fuzz::target(&name)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
