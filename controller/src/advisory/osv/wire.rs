//! The schema's fields that are used. Lenient: what is not named here is skipped, and what may be missing may also be null.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) modified: Option<String>,
    pub(super) published: Option<String>,
    pub(super) withdrawn: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) aliases: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) upstream: Vec<String>,
    pub(super) summary: Option<String>,
    pub(super) details: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) severity: Vec<Severity>,
    #[serde(default, deserialize_with = "list")]
    pub(super) affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Severity {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) score: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Affected {
    pub(super) package: Option<Package>,
    #[serde(default, deserialize_with = "list")]
    pub(super) severity: Vec<Severity>,
    #[serde(default, deserialize_with = "list")]
    pub(super) ranges: Vec<Range>,
    #[serde(default, deserialize_with = "list")]
    pub(super) versions: Vec<String>,
    #[serde(default)]
    ecosystem_specific: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) ecosystem: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Range {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "list")]
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) introduced: Option<String>,
    pub(super) fixed: Option<String>,
    pub(super) last_affected: Option<String>,
    pub(super) limit: Option<String>,
}

impl Record {
    /// A rating beside the vectors, as GitHub's records have it.
    pub(super) fn rating(&self) -> Option<String> {
        text_at(&self.database_specific, "severity")
    }
}

impl Affected {
    /// The distribution's word: `urgency` of Debian's, `severity` or `priority` of others' records.
    pub(super) fn rating(&self) -> Option<String> {
        ["urgency", "severity", "ubuntu_priority", "priority"].iter().find_map(|field| text_at(&self.ecosystem_specific, field))
    }
}

fn text_at(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// A list that may be null, which is an empty one.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
