//! Records as stored protobuf and back; `proto/store/v1/fleet.proto` is the format.
//!
//! What is read is checked like foreign input: a field that is missing or malformed is an error that names it, never a panic and never
//! a default taken silently. May not do I/O.

mod content;
mod entry;
mod finding;
mod fleet;
mod host;
mod logs;
mod quarantine;
mod rollout;
#[cfg(test)]
mod tests;

use patchwave_common::domain::{Digest, HostMode, Labels, Manager, ParseError, Timestamp};
use patchwave_proto::store::v1;
use prost::Message;

use crate::records::Actor;

pub(crate) use content::{PackageVersion, inventory_from_packages};

/// A stored message that does not make a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {detail}")]
pub(crate) struct CodecError {
    /// The message or field.
    pub what: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl CodecError {
    pub(crate) fn new(what: &'static str, detail: impl ToString) -> Self {
        Self { what, detail: detail.to_string() }
    }
}

impl From<ParseError> for CodecError {
    fn from(error: ParseError) -> Self {
        Self::new(error.what, error)
    }
}

/// A record that has a stored form.
pub(crate) trait Stored: Sized {
    /// The stored form.
    type Message: Message + Default;
    /// The record's name in errors.
    const WHAT: &'static str;

    fn to_message(&self) -> Self::Message;
    fn from_message(message: Self::Message) -> Result<Self, CodecError>;

    fn encode(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::from_message(Self::Message::decode(bytes).map_err(|error| CodecError::new(Self::WHAT, error))?)
    }
}

/// A stored form that is used as it is.
macro_rules! stored_as_is {
    ($($message:ty => $what:literal),+ $(,)?) => {$(
        impl Stored for $message {
            type Message = Self;
            const WHAT: &'static str = $what;
            fn to_message(&self) -> Self { self.clone() }
            fn from_message(message: Self) -> Result<Self, CodecError> { Ok(message) }
        }
    )+};
}
stored_as_is!(
    v1::Meta => "counters",
    v1::Counter => "counter",
    v1::RolloutRecords => "rollout records",
    v1::RolloutSnapshot => "rollout snapshot",
    v1::PlanHeader => "plan header",
    v1::PlanSegment => "plan segment",
    v1::FeedSegment => "feed segment",
    v1::FindingBatch => "transitions of findings",
    v1::FindingEntry => "entry of findings",
);

/// A part of a message that must be there.
fn required<T>(part: Option<T>, what: &'static str) -> Result<T, CodecError> {
    part.ok_or_else(|| CodecError::new(what, "missing"))
}

/// An enum's number as one of the values known.
fn known<E: TryFrom<i32>>(number: i32, what: &'static str) -> Result<E, CodecError> {
    E::try_from(number).map_err(|_| CodecError::new(what, format!("unknown value {number}")))
}

fn unspecified<T>(what: &'static str) -> Result<T, CodecError> {
    Err(CodecError::new(what, "not specified"))
}

fn digest(bytes: &[u8]) -> Result<Digest, CodecError> {
    Ok(Digest::from_bytes(bytes)?)
}

fn actor(text: &str) -> Result<Actor, CodecError> {
    Ok(Actor::parse(text)?)
}

fn timestamp(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.map(Timestamp)
}

fn labels_to_message(labels: &Labels) -> std::collections::BTreeMap<String, String> {
    labels.0.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn labels_from_message(labels: std::collections::BTreeMap<String, String>) -> Result<Labels, CodecError> {
    let pairs: Result<_, ParseError> = labels.into_iter().map(|(key, value)| Ok((key.try_into()?, value.try_into()?))).collect();
    Ok(Labels(pairs?))
}

fn mode_to_message(mode: HostMode) -> i32 {
    match mode {
        HostMode::Managed => v1::HostMode::Managed,
        HostMode::ReportOnly => v1::HostMode::ReportOnly,
    }
    .into()
}

fn mode_from_message(number: i32) -> Result<HostMode, CodecError> {
    match known(number, "host mode")? {
        v1::HostMode::Managed => Ok(HostMode::Managed),
        v1::HostMode::ReportOnly => Ok(HostMode::ReportOnly),
        v1::HostMode::Unspecified => unspecified("host mode"),
    }
}

fn manager_to_message(manager: Manager) -> i32 {
    match manager {
        Manager::Dpkg => v1::Manager::Dpkg,
        Manager::Simulated => v1::Manager::Simulated,
    }
    .into()
}

fn manager_from_message(number: i32) -> Result<Manager, CodecError> {
    match known(number, "package manager")? {
        v1::Manager::Dpkg => Ok(Manager::Dpkg),
        v1::Manager::Simulated => Ok(Manager::Simulated),
        v1::Manager::Unspecified => unspecified("package manager"),
    }
}
