//! The logs of findings and of fixes.

use patchwave_common::domain::{Digest, PackageName, PackageVersion, Timestamp};

/// That findings of a host changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingEntry {
    /// Counted from 0, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What changed: the digest of the encoded transitions, which hosts that are alike share.
    pub batch: Digest,
}

/// A version that closes holes, as hosts can get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixKey {
    /// Where it comes from, in short.
    pub origin: String,
    /// The source package.
    pub source: PackageName,
    /// The source version.
    pub version: PackageVersion,
}

/// When any host could first get a version. What feeds and archives say of dates never changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixRecord {
    /// Which version.
    pub key: FixKey,
    /// When.
    pub first_seen: Timestamp,
}
