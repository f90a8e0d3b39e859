//! A policy file.
//!
//! Holds: names are clean; every refusal is bounded and clean line by line; a policy that is taken comes back from a stored plan as it was;
//! shares are never more than the whole; its patterns can be matched against any candidate in bounded time.

use patchwave_common::domain::policy::parse_policy;

use super::samples;
use crate::clean::{assert_clean, assert_fit};
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let policy = match parse_policy(&pieces::text(data)) {
        Ok(policy) => policy,
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.chars().count() < 4_000, "{} characters", shown.chars().count());
            return shown.lines().for_each(|line| assert_fit(line, 400));
        }
    };
    assert_clean(&policy);
    assert_eq!(patchwave::fuzzing::policy(&policy).as_ref(), Ok(&policy));
    for amount in policy.waves.iter().map(|wave| wave.size).chain([policy.limits.max_unavailable, policy.offline.budget]) {
        for whole in [0, 1, 7, u32::MAX] {
            assert!(amount.of(whole) <= whole);
        }
    }
    for candidate in &samples::candidates().candidates {
        let _ = policy.patches.allows(candidate);
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let shipped = include_bytes!("../../../../deploy/policies/security.toml").to_vec();
    let small =
        b"name = \"p\"\n[[wave]]\nname = \"a\"\nsize = \"10%\"\nsoak = \"1h30m\"\n[patches]\ninclude = [\"{a,b}*[!c]?\"]\n".to_vec();
    vec![samples::POLICY.as_bytes().to_vec(), shipped, small]
}
