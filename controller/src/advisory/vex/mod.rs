//! Statements about whether a vulnerability can be used in a product: OpenVEX 0.2.0 (<https://github.com/openvex/spec>), read and written.
//!
//! A *statement* says of one vulnerability and some products where things stand ([`Status`]); *not affected* says why, by one of five
//! justifications or in words. A statement that cannot be read is counted and told with its reason and stops nothing; so is one that says
//! *not affected* and not why, since nobody could ever check it.

#[cfg(test)]
mod tests;
mod wire;

use patchwave_common::domain::{AdvisoryId, Timestamp, clean_text};

use super::knowledge::BadEntries;

/// Statements of one document; a distribution's document of all its packages is split by package.
const STATEMENTS_MAX: usize = 200_000;
/// Products of one statement, and parts of one product.
const PRODUCTS_MAX: usize = 10_000;
/// Longest name of a product; a package URL of 2,000 characters is none.
const NAME_MAX_CHARS: usize = 1_000;
/// Longest text of a statement.
const TEXT_MAX_CHARS: usize = 4_000;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its own name, an IRI.
    pub id: String,
    /// Who answers for it.
    pub author: String,
    /// When it was issued.
    pub issued: Option<Timestamp>,
    /// Counts its revisions.
    pub version: u64,
    /// What it says, in its order.
    pub statements: Vec<Statement>,
    /// What of it could not be read; not written.
    pub bad: BadEntries,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The vulnerability.
    pub vulnerability: AdvisoryId,
    /// Its other names, in their order.
    pub aliases: Vec<AdvisoryId>,
    /// The products; none: what the document as a whole is about.
    pub products: Vec<Product>,
    /// Where things stand.
    pub status: Status,
    /// Since when; none: since the document was issued.
    pub since: Option<Timestamp>,
    /// What an attack would do, or why it does nothing; empty where it is not said.
    pub impact: String,
    /// What to do; empty where it is not said.
    pub action: String,
}

/// A product, named by a package URL or another IRI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub id: String,
    /// The parts of it that are meant; none: all of it.
    pub parts: Vec<String>,
}

/// Where things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The vulnerability cannot be used; by the justification, or by the impact in words where there is none.
    NotAffected(Option<Justification>),
    /// It can.
    Affected,
    /// It no longer can.
    Fixed,
    /// Nobody knows yet.
    UnderInvestigation,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word of the specification.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            fn read(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

words!(
    /// Why a vulnerability cannot be used.
    Justification {
        /// What has it is not in the product.
        ComponentNotPresent = "component_not_present",
        /// The code that has it is not in the product.
        VulnerableCodeNotPresent = "vulnerable_code_not_present",
        /// The code that has it is never run.
        VulnerableCodeNotInExecutePath = "vulnerable_code_not_in_execute_path",
        /// No attacker can reach it.
        VulnerableCodeCannotBeControlledByAdversary = "vulnerable_code_cannot_be_controlled_by_adversary",
        /// The product itself keeps it from being used.
        InlineMitigationsAlreadyExist = "inline_mitigations_already_exist",
    }
);

/// A text that is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not an OpenVEX document: {0}")]
pub struct NotADocument(String);

/// Reads a document.
pub fn parse(bytes: &[u8]) -> Result<Document, NotADocument> {
    let refuse = |reason: &str| NotADocument(clean_text(reason, 200));
    let document: wire::Document = serde_json::from_slice(bytes).map_err(|error| refuse(&error.to_string()))?;
    if !document.context.starts_with(wire::CONTEXT_BEGINS) {
        return Err(refuse(&format!("@context is \"{}\" and not {}", clean_text(&document.context, 100), wire::CONTEXT)));
    }
    if document.statements.len() > STATEMENTS_MAX {
        return Err(refuse(&format!("it has more than {STATEMENTS_MAX} statements")));
    }
    let mut read = Document {
        id: clean_text(&document.id, NAME_MAX_CHARS),
        author: clean_text(&document.author, NAME_MAX_CHARS),
        issued: document.timestamp.as_deref().and_then(instant),
        version: document.version.unwrap_or(1),
        ..Document::default()
    };
    for (index, value) in document.statements.into_iter().enumerate() {
        match serde_json::from_value::<wire::Statement>(value).map_err(|error| error.to_string()).and_then(read_statement) {
            Ok(statement) => read.statements.push(statement),
            Err(reason) => read.bad.note(&format!("statements[{index}]"), &reason),
        }
    }
    Ok(read)
}

fn read_statement(statement: wire::Statement) -> Result<Statement, String> {
    let (name, aliases) = statement.vulnerability.names();
    let vulnerability = AdvisoryId::parse(&name).map_err(|error| format!("vulnerability.name: {error}"))?;
    let aliases = aliases.iter().take(PRODUCTS_MAX).filter_map(|alias| AdvisoryId::parse(alias).ok()).collect();
    let impact = clean_text(&statement.impact_statement.unwrap_or_default(), TEXT_MAX_CHARS);
    let status = read_status(&statement.status, statement.justification.as_deref(), &impact)?;
    if statement.products.len() > PRODUCTS_MAX || statement.products.iter().any(|product| product.subcomponents.len() > PRODUCTS_MAX) {
        return Err(format!("products: more than {PRODUCTS_MAX}"));
    }
    let products = statement.products.into_iter().enumerate().map(|(index, product)| {
        let id = product.name().ok_or_else(|| format!("products[{index}] has no @id and no purl"))?;
        let parts = product.subcomponents.iter().filter_map(wire::Component::name).map(|part| clean_text(&part, NAME_MAX_CHARS)).collect();
        Ok(Product { id: clean_text(&id, NAME_MAX_CHARS), parts })
    });
    Ok(Statement {
        vulnerability,
        aliases,
        products: products.collect::<Result<_, String>>()?,
        status,
        since: statement.timestamp.as_deref().and_then(instant),
        impact,
        action: clean_text(&statement.action_statement.unwrap_or_default(), TEXT_MAX_CHARS),
    })
}

fn read_status(status: &str, justification: Option<&str>, impact: &str) -> Result<Status, String> {
    match status {
        "not_affected" => match justification {
            Some(text) => Justification::read(text)
                .map(|justification| Status::NotAffected(Some(justification)))
                .ok_or_else(|| format!("justification: \"{}\" is none of the five of the specification", clean_text(text, 80))),
            None if impact.trim().is_empty() => Err("not_affected needs a justification or an impact_statement".into()),
            None => Ok(Status::NotAffected(None)),
        },
        "affected" => Ok(Status::Affected),
        "fixed" => Ok(Status::Fixed),
        "under_investigation" => Ok(Status::UnderInvestigation),
        other => Err(format!("status: \"{}\" is none of not_affected, affected, fixed, under_investigation", clean_text(other, 40))),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|instant| Timestamp(instant.as_millisecond()))
}

/// Writes a document as JSON, one statement after another as they stand.
#[must_use]
pub fn write(document: &Document) -> String {
    // Plain values with text keys: there is nothing that could not be written.
    serde_json::to_string_pretty(&wire::Document::of(document)).unwrap_or_default()
}
