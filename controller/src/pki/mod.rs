//! The fleet's certificate authority, the certificates that it gives out, and join tokens.
//!
//! Terms: the *authority* is one ECDSA P-256 key with a self-signed certificate that names the trust domain. It signs leaf certificates
//! directly, for hosts, operators and the controller itself. A *request* (PKCS#10) proves that its sender holds a key; nothing else in it
//! counts: names, lifetime and usage are the authority's decision. A *join token* is a bounded right to become a host.
//!
//! What is given out is returned with its [`crate::records::CertificateRecord`]; the caller stores the record before it hands the
//! certificate over. This module keeps no list and asks no store.

mod authority;
mod error;
mod files;
mod server;
mod token;

pub(crate) use authority::requested_key;
pub use authority::{Authority, HOST_LIFETIME, Issued, OPERATOR_LIFETIME, SERVER_LIFETIME, new_host_id, renewal_window};
pub use error::PkiError;
pub use files::{Attachment, PkiFiles};
pub use server::{ServerCertificate, ServerNames};
pub use token::{NewToken, PresentedToken, TokenError, TokenRequest, TokenSecret};

#[cfg(test)]
mod tests;
