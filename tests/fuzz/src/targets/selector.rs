//! A selector of hosts.
//!
//! Holds: it prints as it was read and reads back as the same; `!=` and `notin` are the opposite of `=` and `in`; the empty one is the only
//! one that is known to select everything.

use patchwave_common::domain::Selector;

use crate::clean::{assert_clean, assert_fit};
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let text = pieces::text(data);
    let selector = match Selector::parse(&text) {
        Ok(selector) => selector,
        Err(error) => return assert_fit(&error.to_string(), 400),
    };
    assert_clean(&selector);
    assert_eq!(Selector::parse(&selector.to_string()).as_ref(), Ok(&selector));
    assert_eq!(selector.is_everything(), text.trim().is_empty());
    let host = |key: &str| match key {
        "ring" => Some("test"),
        "os" => Some("debian"),
        "site" => Some("ams"),
        _ => None,
    };
    assert!(!selector.is_everything() || (selector.matches(host) && selector.matches(|_| None)));
    if let Some((key, value)) = text.split_once("!=").filter(|(key, _)| !key.contains([',', '=', '(', '!']))
        && let (Ok(not), Ok(is)) = (Selector::parse(&text), Selector::parse(&format!("{key}={value}")))
    {
        assert!(value.contains(',') || not.matches(host) != is.matches(host));
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts =
        ["", "ring=test,os=debian", "site!=ams", "kind in (web, db), gpu", "ring notin (last)", "!gpu", "ring==test", "a in b", "(,)"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
