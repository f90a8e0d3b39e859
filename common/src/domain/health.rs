//! Health checks that a policy asks for.

use std::time::Duration;

use super::ParseError;
use super::text::{checked_string, is_token};

checked_string!(
    /// A health check's name; for an executable check, the name of a file in the agent's `checks.d`, so it can hold no path.
    CheckName, "check name", "1 to 64 letters, digits, '-', '_' and '.', starting with a letter or digit",
    |value| is_token(value, 64, "-_.")
);
checked_string!(
    /// A systemd unit's name.
    UnitName, "unit name", "1 to 256 letters, digits, '-', '_', '.', '@', ':' and '\\'",
    |value| is_token(value, 256, "-_.@:\\")
);

/// One check, run on the host after applying; a check that failed already before applying proves nothing (rule 4).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthCheck {
    /// Name in reports.
    pub name: CheckName,
    /// What is tried.
    pub kind: CheckKind,
    /// How long one try may take.
    pub timeout: Duration,
}

/// What a check tries.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum CheckKind {
    /// A TCP connection to an address, e.g. `127.0.0.1:443`.
    Tcp {
        /// Socket address, numeric, as parsed.
        address: std::net::SocketAddr,
    },
    /// An HTTP/1.1 GET that must answer with the wanted status.
    Http {
        /// `http://` URL.
        url: String,
        /// Wanted status, 100 to 599.
        status: u16,
    },
    /// A systemd unit that must be active.
    Unit {
        /// The unit.
        unit: UnitName,
    },
    /// The executable of the check's name in the agent's `checks.d`; exit status 0 is healthy. It gets no argument from the wire.
    Executable,
}

impl CheckKind {
    /// Checks an `http://` URL: bounded, no credentials, no white space.
    pub fn http(url: &str, status: u16) -> Result<Self, ParseError> {
        let rest = url.strip_prefix("http://").unwrap_or_default();
        let sound = !rest.is_empty() && url.len() <= 2048 && !rest.contains('@') && url.bytes().all(|byte| byte.is_ascii_graphic());
        if sound && (100..=599).contains(&status) {
            Ok(Self::Http { url: url.to_owned(), status })
        } else {
            Err(ParseError::new("http check", url, "an http:// URL without credentials, and a status from 100 to 599"))
        }
    }
}
