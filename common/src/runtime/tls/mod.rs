//! The one transport: TLS 1.3, both ends known by certificates of the fleet's own authority.
//!
//! Terms: the *authority* is the fleet's certificate authority, the only one that is trusted; its *fingerprint* is the SHA-256 of its
//! certificate in DER. An *identity* is the one URI in a certificate's subject alternative names: `spiffe://<trust-domain>/host/<id>`,
//! `…/operator/<name>` or `…/controller`.
//!
//! * [`server_config`] and [`accept`] make a controller's side: a caller without a certificate gets in (to enrol), one of our authority
//!   gets in even when expired (to renew), anybody else is refused at the handshake. *Who may call what is not decided here*: the
//!   request layer looks at [`Peer`].
//! * [`ClientTls`] and [`connect`] make the other side, pinned to the authority's certificate, or for enrolment to its fingerprint.
//!
//! The cryptography is aws-lc-rs, handed to every configuration; the process-wide default of rustls is neither set nor read.

mod acceptor;
mod connection;
mod connector;
mod error;
mod identity;
mod keys;
mod provider;
mod request;
mod slots;
mod socket;
mod verify_client;
mod verify_server;

pub use acceptor::{AcceptLimits, AcceptStatistics, Incoming, accept, server_config};
pub use connection::{Connection, Peer};
pub use connector::{ClientTls, Connector, connect, endpoint};
pub use error::{ConnectError, FingerprintMismatch, TlsError, connect_error_in, refusal_hint};
pub use identity::{AuthorityCertificate, IdentityError, PeerCertificate, PeerIdentity, TrustDomain, server_names};
pub use keys::{KeySlot, certificates_from_pem, certified_key, fingerprint};
pub use provider::provider;
pub use request::{KeyRequest, KeyRequestError};

#[cfg(test)]
mod tests;
