//! OpenVEX documents.
//!
//! Holds: what was read is written and read again the same, bad statements left out; what is told is clean and bounded.

use patchwave::advisory::knowledge::BadEntries;
use patchwave::advisory::vex::{Document, parse, write};

use super::feeds::fit;

/// See the module.
pub fn run(data: &[u8]) {
    let document = match parse(data) {
        Ok(document) => document,
        Err(refused) => return fit(&refused.to_string()),
    };
    document.bad.shown.iter().for_each(|(name, reason)| {
        fit(name);
        fit(reason);
    });
    let sound = Document { bad: BadEntries::default(), ..document };
    assert_eq!(parse(write(&sound).as_bytes()), Ok(sound));
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"a","author":"b","timestamp":"2026-01-02T03:04:05Z","version":1,"statements":[
        {"vulnerability":{"name":"CVE-2026-1","aliases":["GHSA-1"]},"status":"not_affected","justification":"component_not_present",
        "products":[{"@id":"pkg:oci/web","subcomponents":[{"@id":"pkg:deb/debian/openssl"}]}],"timestamp":"2026-01-02T03:04:05Z"}]}"#;
    let old = r#"{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","status":"not_affected","impact_statement":"no",
        "products":["pkg:deb/debian/a"]},{"vulnerability":"CVE-2","status":"fixed"},{}]}"#;
    [whole, old].map(|seed| seed.as_bytes().to_vec()).to_vec()
}
