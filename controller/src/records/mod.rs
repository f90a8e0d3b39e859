//! What the store keeps, as the controller's own types: hosts, tokens, operators, policies, quarantine, certificates, audit, events.
//!
//! Records are plain values without I/O. A `revision` field is the store's: it sets it to the previous one plus one at each write of the
//! record (1 at the first) and ignores the value that a caller gives; guards compare against it.

mod actor;
mod audit;
mod certificate;
mod event;
mod feed;
mod finding;
mod host;
mod operator;
mod policy;
mod quarantine;
mod rollout;
mod token;

pub use actor::Actor;
pub use audit::{AuditBreak, AuditEntry, AuditOutcome, AuditRecord, verify_audit_chain};
pub use certificate::{CertificateRecord, Revocation, Serial, Subject};
pub use event::{EventRecord, FleetEvent};
pub use feed::{FeedContent, FeedKind, FeedRecord, FeedTry};
pub use finding::{FindingEntry, FixKey, FixRecord};
pub use host::{HostRecord, HostState, HostUpdate};
pub use operator::{OperatorRecord, OperatorRole};
pub use policy::PolicyRecord;
pub use quarantine::{HaltRecord, Lift, QuarantineRecord};
pub use rollout::{ClaimRecord, RolloutHead};
pub use token::TokenRecord;
