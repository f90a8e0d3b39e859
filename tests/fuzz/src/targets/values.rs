//! Small values that people and files write: names, labels, digests, spans, versions, serials, actors, identities. The first byte chooses.
//!
//! Holds: what is read prints as text that reads back as the same value; a name that is let in is no option, no path and no line; what is
//! refused is told clean and bounded.

use std::fmt::{Debug, Display};

use patchwave::records::{Actor, Serial};
use patchwave::rollout::planner::UpdateRequest;
use patchwave_common::domain::*;
use patchwave_common::runtime::tls::{PeerIdentity, TrustDomain};

use crate::clean::{assert_clean, assert_fit};
use crate::pieces;

const KINDS: &[fn(&str)] = &[
    |text| again(text, |text| HostId::parse(text)),
    |text| again(text, |text| RolloutId::parse(text)),
    |text| again(text, |text| PolicyName::parse(text)),
    |text| again(text, |text| OperatorName::parse(text)),
    |text| again(text, |text| TokenId::parse(text)),
    |text| again(text, |text| InstanceId::parse(text)),
    |text| again(text, |text| PackageName::parse(text)),
    |text| again(text, |text| PackageVersion::parse(text)),
    |text| again(text, |text| Architecture::parse(text)),
    |text| again(text, |text| LabelKey::parse(text)),
    |text| again(text, |text| LabelValue::parse(text)),
    |text| again(text, |text| CheckName::parse(text)),
    |text| again(text, |text| UnitName::parse(text)),
    |text| again(text, Digest::parse),
    |text| again(text, Serial::parse),
    |text| again(text, Actor::parse),
    |text| again(text, TrustDomain::parse),
    |text| again(text, |text| text.parse::<UpdateRequest>()),
    label,
    span,
    identity,
    url,
];

/// See the module.
pub fn run(data: &[u8]) {
    if let Some((kind, rest)) = pieces::choice(data, KINDS.len()) {
        KINDS[kind](&pieces::text(rest));
    }
}

fn again<T: Display + Debug + PartialEq, E: Display>(text: &str, parse: impl Fn(&str) -> Result<T, E>) {
    match parse(text) {
        Ok(value) => {
            assert_clean(&value);
            let printed = value.to_string();
            assert!(
                !printed.is_empty()
                    && printed.len() <= 600
                    && !printed.starts_with(['-', '.', '/'])
                    && !printed.contains(char::is_whitespace)
            );
            assert_eq!(parse(&printed).ok().as_ref(), Some(&value));
            assert!(text.trim().chars().all(|character| character.is_ascii_graphic()), "{text:?} was read");
        }
        Err(error) => assert_fit(&error.to_string(), 400),
    }
}

fn label(text: &str) {
    if let Ok((key, value)) = Labels::parse_pair(text) {
        assert_eq!(format!("{key}={value}"), text);
        let labels = Labels([(key.clone(), value.clone())].into());
        assert_eq!(labels.get(key.as_str()), Some(value.as_str()));
        assert!(key.as_str() != RING_LABEL || labels.ring().as_str() == value.as_str());
    }
}

/// A span prints with at most two units: what is printed is never longer than it, and reads back as itself from then on.
fn span(text: &str) {
    match parse_duration(text) {
        Ok(span) => {
            let shown = |span| parse_duration(&show_duration(span).replace(' ', "")).unwrap();
            assert!(shown(span) <= span && shown(shown(span)) == shown(span), "{text} {span:?}");
            assert!(Timestamp(0).plus(span) >= Timestamp(0));
        }
        Err(error) => assert_fit(&error.to_string(), 400),
    }
}

fn identity(text: &str) {
    match PeerIdentity::parse_uri(text) {
        Ok((domain, identity)) => assert_eq!(identity.uri(&domain), text),
        Err(error) => assert_fit(&error.to_string(), 400),
    }
}

fn url(text: &str) {
    match CheckKind::http(text, 200) {
        Ok(_) => assert!(text.starts_with("http://") && !text.contains(['@', ' ', '\r', '\n']) && text.len() <= 2048),
        Err(error) => assert_fit(&error.to_string(), 400),
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let digest = Digest::of(b"x").to_string();
    let texts = [
        "h-7k2m",
        "r-7k2m9qxa",
        "web",
        "alice@example.org",
        "t-ab2c",
        "i-1",
        "libstdc++6",
        "1:3.0.17-1~deb12u2+b1",
        "amd64",
        "site",
        "ams:1",
        "own.sh",
        "getty@tty1.service",
        &digest,
        "ab:01",
        "operator:alice",
        "fleet.example",
        "src:openssl=3.0.17-1",
        "ring=test",
        "1h30m",
        "spiffe://fleet.example/host/h-7k2m",
        "http://127.0.0.1:80/health?x=1",
    ];
    let numbered = texts.iter().enumerate().map(|(kind, text)| [&[u8::try_from(kind).unwrap()], text.as_bytes()].concat());
    numbered.collect()
}
