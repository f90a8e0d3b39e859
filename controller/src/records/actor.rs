//! Who did something.

use std::fmt;

use patchwave_common::domain::{HostId, OperatorName, ParseError};

/// Who did something, as records and the audit log name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// An operator, over the wire, named by the certificate.
    Operator(OperatorName),
    /// A host's agent, named by the certificate.
    Host(HostId),
    /// Somebody with a shell on the controller's machine (`patchwave init`, `patchwave restore`).
    Local,
    /// The controller by itself.
    Controller,
}

impl Actor {
    /// What people see: an operator's bare name. A host keeps its prefix, which no operator's name can have, and no operator may be named
    /// like the other two ([`Actor::refuse_name`]), so that nobody is taken for somebody else.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Operator(name) => name.to_string(),
            other => other.to_string(),
        }
    }

    /// Refuses a new operator's name that would be read as the controller's own or as that of somebody with a shell on its machine.
    pub fn refuse_name(name: &OperatorName) -> Result<(), ParseError> {
        match name.as_str() {
            "local" | "controller" => Err(ParseError::new("operator name", name.as_str(), "another one: this one stands for no person")),
            _ => Ok(()),
        }
    }

    /// Reads what [`Actor`] prints.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text.split_once(':') {
            Some(("operator", name)) => OperatorName::parse(name).map(Self::Operator),
            Some(("host", id)) => HostId::parse(id).map(Self::Host),
            None if text == "local" => Ok(Self::Local),
            None if text == "controller" => Ok(Self::Controller),
            _ => Err(ParseError::new("actor", text, "operator:NAME, host:ID, local or controller")),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(formatter, "operator:{name}"),
            Self::Host(id) => write!(formatter, "host:{id}"),
            Self::Local => formatter.write_str("local"),
            Self::Controller => formatter.write_str("controller"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_actor_reads_back_as_it_was_printed() {
        for text in ["operator:alice", "host:h-1", "local", "controller"] {
            assert_eq!(Actor::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_operator_is_shown_by_name_and_cannot_be_named_like_anybody_else() {
        let shown = |text: &str| Actor::parse(text).unwrap().name();
        assert_eq!(["operator:anna", "host:h-1", "local", "controller"].map(shown), ["anna", "host:h-1", "local", "controller"]);
        for name in ["local", "controller"] {
            assert!(Actor::refuse_name(&OperatorName::parse(name).unwrap()).is_err(), "{name}");
        }
        assert!(OperatorName::parse("host:h-1").is_err());
    }

    #[test]
    fn a_malformed_actor_is_refused() {
        for text in ["", "alice", "operator:", "host:UPPER", "root:x", "local:x"] {
            assert!(Actor::parse(text).is_err(), "{text}");
        }
    }
}
