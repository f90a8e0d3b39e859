//! Who may call what: one table, enforced before any handler runs.
//!
//! Terms: a *caller* is who the certificate says, as the fleet knows it now: its role, its mode, whether it was revoked or retired. A
//! method without a row in the table is refused to everybody. The judgement holds for a moment: calls that stay open are judged again. Identity comes from the certificate alone; a message never changes it.

mod caller;
mod directory;
mod layer;
mod open_calls;
mod refusals;
mod table;

pub use caller::{Caller, CallerKind, Refusal};
pub use directory::Directory;
pub use layer::{AccessLayer, REFUSED_HEADER};
pub use refusals::{Refusals, record_refusals};
pub use table::{Rule, TABLE, rule_of};

use patchwave_common::runtime::tls::Peer;

/// Where a request comes from, for messages to people; never an identity.
#[must_use]
pub fn peer_address<T>(request: &tonic::Request<T>) -> String {
    request.extensions().get::<Peer>().map_or_else(|| "an unknown address".to_owned(), |peer| peer.address.to_string())
}

#[cfg(test)]
mod tests;
