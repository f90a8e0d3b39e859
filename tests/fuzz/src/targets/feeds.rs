//! What holds for every feed that gives facts by CVE.

use std::fmt::Debug;

use patchwave::advisory::knowledge::{Facts, NotAFeed};
use patchwave_common::domain::steers_output;

/// Longest text that is told.
const TOLD_MAX_BYTES: usize = 2_000;

/// Reads the bytes, twice, and checks what is told of them.
pub fn check<T: Debug + PartialEq>(data: &[u8], parse: fn(&[u8]) -> Result<Facts<T>, NotAFeed>) {
    let read = parse(data);
    assert_eq!(read, parse(data));
    match read {
        Err(refused) => fit(&refused.to_string()),
        Ok(facts) => {
            assert!(facts.by_cve.keys().all(|id| id.as_str().starts_with("CVE-")));
            assert!(facts.bad.shown.len() as u64 <= facts.bad.count);
            facts.bad.shown.iter().for_each(|(name, reason)| {
                fit(name);
                fit(reason);
            });
        }
    }
}

/// Text that is told is clean and bounded.
pub fn fit(text: &str) {
    assert!(text.len() <= TOLD_MAX_BYTES && !text.chars().any(steers_output), "{text:?}");
}
