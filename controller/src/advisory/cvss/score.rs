//! A score in tenths, and the band that it falls into.

use std::fmt;

use patchwave_common::domain::ParseError;

use super::Version;

/// A score from 0.0 to 10.0, held in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

impl Score {
    /// The highest score, 10.0.
    pub const MAX: Self = Self(100);

    /// Takes tenths, 0 to 100.
    pub fn from_tenths(tenths: u8) -> Result<Self, ParseError> {
        if tenths <= Self::MAX.0 { Ok(Self(tenths)) } else { Err(ParseError::new("score in tenths", &tenths.to_string(), "0 to 100")) }
    }

    /// The score in tenths, 0 to 100.
    #[must_use]
    pub fn tenths(self) -> u8 {
        self.0
    }

    /// A score as the formulas compute it; they round to tenths, so that only the binary fraction is rounded away here.
    pub(super) fn of(value: f64) -> Self {
        let highest = Self::MAX;
        (0..=highest.0).find(|&tenths| value * 10.0 < f64::from(tenths) + 0.5).map_or(highest, Self)
    }

    /// The band as the version of the specification has it. The National Vulnerability Database's for version 2.0, which has none.
    #[must_use]
    pub fn severity(self, version: Version) -> Severity {
        match self.0 {
            0 if version != Version::V2 => Severity::None,
            0..40 => Severity::Low,
            40..70 => Severity::Medium,
            70..90 => Severity::High,
            _ if version == Version::V2 => Severity::High,
            _ => Severity::Critical,
        }
    }
}

impl TryFrom<u8> for Score {
    type Error = ParseError;
    fn try_from(tenths: u8) -> Result<Self, ParseError> {
        Self::from_tenths(tenths)
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

impl fmt::Display for Score {
    /// With one decimal, e.g. `9.8`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}.{}", self.0 / 10, self.0 % 10))
    }
}

/// How bad a hole is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Scored 0.0: no effect on security.
    None,
    /// 0.1 to 3.9
    Low,
    /// 4.0 to 6.9
    Medium,
    /// 7.0 to 8.9
    High,
    /// 9.0 to 10.0
    Critical,
}

impl Severity {
    /// The band of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|band| band.as_str() == name)
    }

    /// All of them, least first.
    pub const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the name, in any case as feeds write it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParseError::new("severity", text, "none, low, medium, high or critical"))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bands_begin_where_the_specifications_say() {
        let band = |tenths, version| Score::from_tenths(tenths).unwrap().severity(version);
        let limits = [(0, Severity::None), (1, Severity::Low), (39, Severity::Low), (40, Severity::Medium), (69, Severity::Medium)];
        for (tenths, severity) in
            limits.into_iter().chain([(70, Severity::High), (89, Severity::High), (90, Severity::Critical), (100, Severity::Critical)])
        {
            assert_eq!(band(tenths, Version::V3_1), severity, "{tenths}");
        }
        assert_eq!([band(0, Version::V2), band(100, Version::V2)], [Severity::Low, Severity::High]);
    }

    #[test]
    fn a_score_is_shown_with_one_decimal_and_has_a_bound() {
        let shown = |value| Score::of(value).to_string();
        assert_eq!([shown(0.0), shown(4.6), shown(9.800_001), shown(10.0)], ["0.0", "4.6", "9.8", "10.0"]);
        assert_eq!([shown(-1.0), shown(11.0), shown(f64::NAN)], ["0.0", "10.0", "10.0"]);
        assert!(Score::from_tenths(101).is_err() && serde_json::from_str::<Score>("101").is_err());
    }

    #[test]
    fn severities_are_read_by_the_names_that_they_show() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(&severity.to_string().to_uppercase()), Ok(severity));
        }
        assert!(Severity::parse("important").is_err());
    }
}
