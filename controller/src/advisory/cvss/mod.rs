//! Scores of CVSS vectors, versions 2.0, 3.0, 3.1 and 4.0, in tenths. Pure.
//!
//! A vector has one score for each group of its metrics. *Base* is the hole itself, and what severity speaks of: the other two may sink
//! because a fix is out, which is no reason to be slow with it. *Temporal* (4.0 calls it threat) adds how exploits and fixes stand,
//! *environmental* adds the place where it is. A group without metrics leaves the score as it is.
//!
//! By the crate `cvss` 3 (rustsec), which agrees with every known score of all four versions and is kept up. `cvss-rs` 0.5 agrees as well
//! but brings a JSON model and its dependencies; `cvssrust` 1 knows no 4.0 and gets 263 known rows of 3.0 wrong. Known
//! of `cvss` 3: it reads a 3.x vector without all base metrics (refused here), and it rounds 3.0 up in binary, so that about one temporal
//! or environmental score of 3.0 in a thousand is a tenth too high (5.0 × 0.92 becomes 4.7); base scores are exact.

mod score;
#[cfg(test)]
mod vectors;

use patchwave_common::domain::clean_text;

pub use score::{Score, Severity};

/// Longest vector that is read. With every metric that 4.0 knows a vector has 178 bytes.
pub const MAX_VECTOR_BYTES: usize = 256;

/// How much of a refused vector or of its reason an error repeats, in characters.
const SHOWN_CHARS: usize = 120;

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Version {
    /// Vectors without a prefix.
    #[serde(rename = "2.0")]
    V2,
    /// `CVSS:3.0/`
    #[serde(rename = "3.0")]
    V3_0,
    /// `CVSS:3.1/`
    #[serde(rename = "3.1")]
    V3_1,
    /// `CVSS:4.0/`
    #[serde(rename = "4.0")]
    V4,
}

impl Version {
    /// The number, e.g. `3.1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
            Self::V4 => "4.0",
        }
    }

    /// Metrics without which there is no base score.
    fn base_metrics(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &["AV", "AC", "Au", "C", "I", "A"],
            Self::V3_0 | Self::V3_1 => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
            Self::V4 => &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"],
        }
    }
}

/// A scored vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cvss {
    version: Version,
    base: Score,
    temporal: Score,
    environmental: Score,
}

/// A text that is no CVSS vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{vector}\" is no CVSS vector: {reason}")]
pub struct InvalidVector {
    /// The text, fit for a log line and shortened.
    pub vector: String,
    /// What is wrong.
    pub reason: String,
}

impl Cvss {
    /// Reads and scores a vector of any version; one of 2.0 may stand in brackets or after `CVSS:2.0/`, as older databases write it.
    pub fn parse(text: &str) -> Result<Self, InvalidVector> {
        read(text).map_err(|reason| InvalidVector { vector: clean_text(text, SHOWN_CHARS), reason: clean_text(&reason, SHOWN_CHARS) })
    }

    /// Which version of the specification scored it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The base score: how bad the hole is by itself.
    #[must_use]
    pub fn score(&self) -> Score {
        self.base
    }

    /// The band of the base score.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.base.severity(self.version)
    }

    /// The base score with how exploits and fixes stand; the base score where the vector does not say.
    #[must_use]
    pub fn temporal(&self) -> Score {
        self.temporal
    }

    /// The score with everything that the vector says, about its environment too.
    #[must_use]
    pub fn environmental(&self) -> Score {
        self.environmental
    }
}

fn read(text: &str) -> Result<Cvss, String> {
    if text.len() > MAX_VECTOR_BYTES {
        return Err(format!("it is longer than {MAX_VECTOR_BYTES} bytes"));
    }
    let (version, metrics) = split_version(text)?;
    for wanted in version.base_metrics() {
        if !metrics.split('/').any(|metric| metric.split(':').next() == Some(wanted)) {
            return Err(format!("version {} needs the metric {wanted}", version.as_str()));
        }
    }
    let said = |error: cvss::Error| error.to_string();
    let (base, temporal, environmental) = match version {
        Version::V2 => {
            let vector: cvss::v2::Vector = metrics.parse().map_err(said)?;
            (vector.score().value(), vector.temporal_score().value(), vector.environmental_score().value())
        }
        Version::V3_0 | Version::V3_1 => {
            let vector: cvss::v3::Vector = text.parse().map_err(said)?;
            (vector.base_score().value(), vector.temporal_score().value(), vector.environmental_score().value())
        }
        Version::V4 => {
            // One formula for all groups: the score of less is the score of a vector that says less.
            let score = |text: &str| text.parse::<cvss::v4::Vector>().map(|vector| vector.score().value()).map_err(said);
            let whole = score(text)?;
            (score(&only(metrics, version, &[]))?, score(&only(metrics, version, &["E"]))?, whole)
        }
    };
    Ok(Cvss { version, base: Score::of(base), temporal: Score::of(temporal), environmental: Score::of(environmental) })
}

/// Which version a vector is of, and its metrics without the prefix.
fn split_version(text: &str) -> Result<(Version, &str), String> {
    let Some(rest) = text.strip_prefix("CVSS:") else {
        let bare = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
        return Ok((Version::V2, bare));
    };
    let (number, metrics) = rest.split_once('/').unwrap_or((rest, ""));
    [Version::V2, Version::V3_0, Version::V3_1, Version::V4]
        .into_iter()
        .find(|version| version.as_str() == number)
        .map(|version| (version, metrics))
        .ok_or_else(|| format!("version {number} is unknown: 2.0, 3.0, 3.1 and 4.0 are known"))
}

/// The vector with its base metrics and `more` alone.
fn only(metrics: &str, version: Version, more: &[&str]) -> String {
    let mut vector = format!("CVSS:{}", version.as_str());
    let kept = |name: &str| version.base_metrics().contains(&name) || more.contains(&name);
    for metric in metrics.split('/').filter(|metric| metric.split(':').next().is_some_and(kept)) {
        vector.push('/');
        vector.push_str(metric);
    }
    vector
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scores(vector: &str) -> [u8; 3] {
        let cvss = Cvss::parse(vector).unwrap();
        [cvss.score().tenths(), cvss.temporal().tenths(), cvss.environmental().tenths()]
    }

    #[test]
    fn each_group_of_metrics_has_its_score() {
        assert_eq!(scores("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), [98, 98, 98]);
        assert_eq!(scores("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/RL:O/MAV:P"), [98, 94, 65]);
        assert_eq!(scores("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"), [93, 93, 93]);
        assert_eq!(scores("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U/MAV:P"), [93, 81, 40]);
        assert_eq!(scores("AV:N/AC:L/Au:N/C:C/I:C/A:C/E:U/RL:OF/RC:UC"), [100, 67, 67]);
    }

    #[test]
    fn vectors_of_version_2_are_read_as_databases_write_them() {
        for vector in ["AV:N/AC:L/Au:N/C:P/I:P/A:P", "(AV:N/AC:L/Au:N/C:P/I:P/A:P)", "CVSS:2.0/AV:N/AC:L/Au:N/C:P/I:P/A:P"] {
            let cvss = Cvss::parse(vector).unwrap();
            assert_eq!((cvss.version().as_str(), cvss.score().tenths(), cvss.severity()), ("2.0", 75, Severity::High), "{vector}");
        }
    }

    #[test]
    fn what_is_no_vector_is_refused_with_its_reason() {
        let reason = |vector: &str| Cvss::parse(vector).unwrap_err().to_string();
        assert!(reason("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H").contains("version 3.1 needs the metric A"));
        assert!(reason("CVSS:5.0/AV:N").contains("version 5.0 is unknown"));
        assert!(reason("CVSS:3.1/AV:N\u{1b}[2J").starts_with("\"CVSS:3.1/AV:N [2J\" is no CVSS vector"));
        for refused in [
            "",
            "()",
            "7.5",
            "CVSS:3.1",
            "CVSS:3.1/",
            "CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:A",
            "CVSS:4.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P/XX:Y",
        ] {
            assert!(Cvss::parse(refused).is_err(), "{refused}");
        }
        let long = format!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H{}", "/E:X".repeat(1 << 16));
        assert!(reason(&long).len() < 400 && reason(&long).contains("longer than 256 bytes"));
    }
}
