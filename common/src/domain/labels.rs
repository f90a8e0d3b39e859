//! Labels on hosts, and the ring, which is the label that says how early a host gets a patch.

use std::collections::BTreeMap;

use super::ParseError;
use super::text::{checked_string, is_token};

checked_string!(
    /// A label's key.
    LabelKey, "label key", "1 to 64 letters, digits, '-', '_', '.' and '/', starting with a letter or digit",
    |value| is_token(value, 64, "-_./")
);
checked_string!(
    /// A label's value.
    LabelValue, "label value", "1 to 64 letters, digits, '-', '_', '.', '/' and ':', starting with a letter or digit",
    |value| is_token(value, 64, "-_./:")
);

/// The key of the label that holds the ring.
pub const RING_LABEL: &str = "ring";

/// A host's labels. Set by the join token and by operators, never by the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<LabelKey, LabelValue>);

impl Labels {
    /// Reads `key=value`; a `ring` label must name one of the four rings.
    pub fn parse_pair(text: &str) -> Result<(LabelKey, LabelValue), ParseError> {
        let (key, value) = text.split_once('=').ok_or_else(|| ParseError::new("label", text, "key=value"))?;
        let (key, value) = (LabelKey::parse(key)?, LabelValue::parse(value)?);
        if key.as_str() == RING_LABEL {
            Ring::parse(value.as_str())?;
        }
        Ok((key, value))
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have.as_str() == key).map(|(_, value)| value.as_str())
    }

    /// The ring; a host without the label is in [`Ring::Broad`].
    #[must_use]
    pub fn ring(&self) -> Ring {
        self.get(RING_LABEL).and_then(|value| Ring::parse(value).ok()).unwrap_or(Ring::Broad)
    }
}

/// How early a host gets a patch. The test ring stands for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// Gets every patch first.
    Test,
    /// The first production hosts.
    Early,
    /// Most hosts.
    Broad,
    /// Hosts that wait for everybody else.
    Last,
}

impl Ring {
    /// Reads a ring's name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "test" => Ok(Self::Test),
            "early" => Ok(Self::Early),
            "broad" => Ok(Self::Broad),
            "last" => Ok(Self::Last),
            _ => Err(ParseError::new("ring", text, "test, early, broad or last")),
        }
    }

    /// The ring's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Early => "early",
            Self::Broad => "broad",
            Self::Last => "last",
        }
    }
}
