//! The log of a host's findings as it is stored: what changed from one look to the next, and the findings that all of it together gives.

use std::sync::Arc;

use patchwave_common::domain::AdvisoryId;
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::finding_transitions::Transition;
use prost::Message as _;

use crate::finding::{Finding, FindingKey, FindingSet, FindingState};

/// What of `after` is not as it was, encoded; nothing where all is. A finding that stands where it stood with other evidence is told too.
#[must_use]
pub fn changes(before: &FindingSet, after: &FindingSet) -> Option<Vec<u8>> {
    let transitions: Vec<Transition> = after
        .0
        .iter()
        .filter(|(key, finding)| before.0.get(key) != Some(finding))
        .map(|(key, finding)| Transition {
            advisory: key.advisory.to_string(),
            source: key.source.to_string(),
            from: before.0.get(key).map_or_else(String::new, |before| before.state.as_str().to_owned()),
            to: finding.state.as_str().to_owned(),
            installed: finding.installed.to_string(),
            fixed: finding.fixed.as_ref().map(ToString::to_string),
            evidence: finding.evidence.clone(),
        })
        .collect();
    (!transitions.is_empty()).then(|| v1::FindingTransitions { transitions }.encode_to_vec())
}

/// One change as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which finding.
    pub key: FindingKey,
    /// Where it stood before; `None` where it is new.
    pub from: Option<FindingState>,
    /// The finding from then on.
    pub finding: Finding,
}

/// Reads an entry.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Vec<Told>, String> {
    let message = v1::FindingTransitions::decode(bytes).map_err(|error| error.to_string())?;
    message.transitions.into_iter().map(read_one).collect()
}

fn read_one(message: Transition) -> Result<Told, String> {
    let state = |name: &str| FindingState::of_name(name).ok_or_else(|| format!("there is no state \"{name}\""));
    Ok(Told {
        key: FindingKey {
            advisory: AdvisoryId::parse(message.advisory).map_err(|error| error.to_string())?,
            source: Arc::from(message.source),
        },
        from: if message.from.is_empty() { None } else { Some(state(&message.from)?) },
        finding: Finding {
            state: state(&message.to)?,
            installed: Arc::from(message.installed),
            fixed: message.fixed.map(Arc::from),
            evidence: message.evidence,
        },
    })
}

/// The findings after an entry.
#[must_use]
pub fn apply(before: &FindingSet, entry: Vec<Told>) -> FindingSet {
    let mut after = before.clone();
    after.0.extend(entry.into_iter().map(|told| (told.key, told.finding)));
    after
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn finding(state: FindingState, evidence: &str) -> Finding {
        Finding { state, installed: "1".into(), fixed: Some("2".into()), evidence: evidence.into() }
    }

    fn set(findings: &[(&str, Finding)]) -> FindingSet {
        let key = |id: &str| FindingKey { advisory: AdvisoryId::parse(id).unwrap(), source: "a".into() };
        FindingSet(findings.iter().map(|(id, finding)| (key(id), finding.clone())).collect())
    }

    #[test]
    fn what_changed_gives_the_findings_again() {
        let first = set(&[("CVE-1", finding(FindingState::Open, "x")), ("CVE-2", finding(FindingState::Open, "x"))]);
        let second = set(&[
            ("CVE-1", finding(FindingState::Open, "y")),
            ("CVE-2", finding(FindingState::Open, "x")),
            ("CVE-3", finding(FindingState::Fixed, "z")),
        ]);
        let (one, two) = (changes(&FindingSet::default(), &first).unwrap(), changes(&first, &second).unwrap());
        assert_eq!(changes(&first, &first), None);
        let told = read(&two).unwrap();
        assert_eq!(told.iter().map(|told| told.from).collect::<Vec<_>>(), [Some(FindingState::Open), None], "evidence alone is told too");
        assert_eq!(apply(&apply(&FindingSet::default(), read(&one).unwrap()), told), second);
    }

    #[test]
    fn noise_is_an_error() {
        assert!(read(b"\xff\xff").is_err());
        let unknown = v1::FindingTransitions {
            transitions: vec![Transition { advisory: "CVE-1".into(), to: "gone".into(), ..Transition::default() }],
        };
        assert!(read(&unknown.encode_to_vec()).unwrap_err().contains("no state \"gone\""));
    }
}
