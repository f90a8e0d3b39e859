//! The agent's wire messages to domain values and back. Decoding checks everything: peers are not trusted.
//!
//! Every list is bounded here, with the load that the bound answers beside it; every free text is cleaned and shortened.

mod compressed;
mod directive;
mod facts;
mod lines;
mod messages;
mod packages;
#[cfg(test)]
mod tests;

pub use compressed::compressed;
pub use facts::{decode_facts, encode_facts};
pub use messages::{decode_from_agent, decode_to_agent, encode_from_agent, encode_to_agent};
pub use packages::{decode_candidate, encode_candidate};

use patchwave_common::domain::{Generation, ParseError, clean_text};

use crate::fleet::v1 as wire;

/// Largest message that either side takes: a full inventory of 100,000 packages is about 8 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Packages in one transaction: a release upgrade of a full desktop has 3,000.
const MAX_TARGETS: usize = 20_000;
/// Quarantined versions in force at once.
const MAX_QUARANTINE: usize = 10_000;
/// Entries of small lists: addresses, features, checks.
const MAX_SMALL_LIST: usize = 256;
/// News of one directive: the longest path through the machine has a dozen.
const MAX_PROGRESS: usize = 64;
/// Characters of a detail; the agent's log has the rest.
const MAX_DETAIL_CHARS: usize = 2_000;
/// Characters of a fact such as the host name.
const MAX_FACT_CHARS: usize = 256;

/// A message that does not mean anything. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A needed field is absent.
    #[error("the message lacks {0}")]
    Missing(&'static str),
    /// A list is longer than allowed.
    #[error("{field} has {count} entries; at most {limit} are allowed")]
    TooMany {
        /// The list.
        field: &'static str,
        /// Its length.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A value has a wrong form.
    #[error("{field}: {error}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A number that stands for nothing.
    #[error("{0} has a value that this release does not know")]
    Unknown(&'static str),
}

fn value<T>(field: &'static str, parsed: Result<T, ParseError>) -> Result<T, WireError> {
    parsed.map_err(|error| WireError::Value { field, error })
}

fn bounded<T>(field: &'static str, list: Vec<T>, limit: usize) -> Result<Vec<T>, WireError> {
    if list.len() > limit { Err(WireError::TooMany { field, count: list.len(), limit }) } else { Ok(list) }
}

fn detail(text: &str) -> String {
    clean_text(text, MAX_DETAIL_CHARS)
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn encode_generation(generation: Generation) -> wire::Generation {
    wire::Generation { epoch: generation.epoch, counter: generation.counter }
}

fn decode_generation(field: &'static str, generation: Option<wire::Generation>) -> Result<Generation, WireError> {
    let generation = generation.ok_or(WireError::Missing(field))?;
    Ok(Generation { epoch: generation.epoch, counter: generation.counter })
}
