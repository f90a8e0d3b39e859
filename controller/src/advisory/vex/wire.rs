//! The document's fields. Lenient in what is read: version 0.0 wrote a vulnerability as its bare name and a product as its bare id.

use patchwave_common::domain::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Status;

/// What a document that we write says it is.
pub(super) const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";
/// What every version of the context begins with.
pub(super) const CONTEXT_BEGINS: &str = "https://openvex.dev/ns";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(rename = "@context")]
    pub(super) context: String,
    #[serde(rename = "@id", default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<String>,
    pub(super) version: Option<u64>,
    pub(super) statements: Vec<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) vulnerability: Vulnerability,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub(super) products: Vec<Component>,
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impact_statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action_statement: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Vulnerability {
    Bare(String),
    Named {
        #[serde(default)]
        name: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
        aliases: Vec<String>,
    },
}

impl Vulnerability {
    pub(super) fn names(self) -> (String, Vec<String>) {
        match self {
            Self::Bare(name) => (name, Vec::new()),
            Self::Named { name, aliases } => (name, aliases),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "AnyComponent")]
pub(super) struct Component {
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip)]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) subcomponents: Vec<Component>,
}

/// A component as documents write it: a bare id, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyComponent {
    Bare(String),
    Object {
        #[serde(rename = "@id")]
        id: Option<String>,
        identifiers: Option<Identifiers>,
        #[serde(default, deserialize_with = "list")]
        subcomponents: Vec<Component>,
    },
}

#[derive(Deserialize)]
struct Identifiers {
    purl: Option<String>,
}

impl From<AnyComponent> for Component {
    fn from(component: AnyComponent) -> Self {
        match component {
            AnyComponent::Bare(id) => Self { id: Some(id), purl: None, subcomponents: Vec::new() },
            AnyComponent::Object { id, identifiers, subcomponents } => Self { id, purl: identifiers.and_then(|it| it.purl), subcomponents },
        }
    }
}

impl Component {
    /// The package URL, which says more than an IRI of somebody's own, or else the id.
    pub(super) fn name(&self) -> Option<String> {
        [&self.purl, &self.id].into_iter().flatten().find(|name| !name.trim().is_empty()).cloned()
    }

    fn of(id: &str, parts: &[String]) -> Self {
        Self { id: Some(id.to_owned()), purl: None, subcomponents: parts.iter().map(|part| Self::of(part, &[])).collect() }
    }
}

impl Document {
    pub(super) fn of(document: &super::Document) -> Self {
        let statements = document.statements.iter().map(Statement::of);
        Self {
            context: CONTEXT.to_owned(),
            id: document.id.clone(),
            author: document.author.clone(),
            timestamp: document.issued.map(show),
            version: Some(document.version),
            // Plain values with text keys: there is nothing that could not be written.
            statements: statements.filter_map(|statement| serde_json::to_value(statement).ok()).collect(),
        }
    }
}

impl Statement {
    fn of(statement: &super::Statement) -> Self {
        let (status, justification) = match statement.status {
            Status::NotAffected(justification) => ("not_affected", justification),
            Status::Affected => ("affected", None),
            Status::Fixed => ("fixed", None),
            Status::UnderInvestigation => ("under_investigation", None),
        };
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            vulnerability: Vulnerability::Named {
                name: statement.vulnerability.to_string(),
                aliases: statement.aliases.iter().map(ToString::to_string).collect(),
            },
            products: statement.products.iter().map(|product| Component::of(&product.id, &product.parts)).collect(),
            status: status.to_owned(),
            timestamp: statement.since.map(show),
            justification: justification.map(|it| it.as_str().to_owned()),
            impact_statement: text(&statement.impact),
            action_statement: text(&statement.action),
        }
    }
}

/// To the millisecond, so that it is read back as it was.
fn show(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.to_string(), |instant| instant.to_string())
}

/// A list that may be null, which is an empty one.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
