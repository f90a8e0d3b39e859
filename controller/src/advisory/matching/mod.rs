//! Which advisories speak of which packages, and of which hosts.
//!
//! Terms: a *package key* is a version of a package in a [space](super::record::Space), the source package where the space speaks of
//! sources. An *image* is a set of package keys that one host or many have. Each package key is matched once however many images have it,
//! and an image is looked at once however many hosts have it; so work grows with what is different, not with hosts.
//!
//! `set` answers for one package key; `matcher` keeps the answers for a fleet, with indexes both ways, and does again only what a changed
//! image or a changed advisory asks for. `source` says what a package of a host is called where advisories speak of it.

mod matcher;
mod set;
mod source;
#[cfg(test)]
mod tests;

pub use matcher::{ImageId, Matcher};
pub use set::{AdvisorySet, Match, Matches};
pub use source::{PackageKey, package_keys};
