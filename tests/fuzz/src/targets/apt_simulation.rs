//! What `apt-get --simulate` says that a transaction would do, read against a fixed inventory.
//!
//! Holds: each package changes once and in order; only what is installed is removed or configured, from the version that it has; what is
//! brought was not there, and each kind agrees with its versions.

use std::cmp::Ordering;

use patchwave_agent::fuzzing::apt;
use patchwave_agent::packages::ChangeKind;
use patchwave_common::domain::Manager;

use super::samples;
use crate::clean::assert_clean;
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let text = pieces::text(data);
    let inventory = samples::inventory();
    let changes = apt::changes(&text, &inventory);
    assert!(changes.len() <= text.lines().count());
    assert!(changes.is_sorted_by(|left, right| left.id < right.id));
    assert_clean(&changes);
    for change in &changes {
        let order = change.from.as_ref().zip(change.to.as_ref()).map(|(from, to)| from.compare(to, Manager::Dpkg));
        match change.kind {
            ChangeKind::Install => assert!(change.from.is_none() && change.to.is_some()),
            ChangeKind::Upgrade => assert!(matches!(order, Some(Ordering::Less | Ordering::Equal))),
            ChangeKind::Downgrade => assert_eq!(order, Some(Ordering::Greater)),
            ChangeKind::Remove => assert_eq!(inventory.get(&change.id).map(|package| &package.version), change.from.as_ref()),
            ChangeKind::Configure => assert!(inventory.get(&change.id).is_some()),
        }
    }
}

/// Outputs of the real tool, and odd lines.
pub fn seeds() -> Vec<Vec<u8>> {
    let odd = "Inst openssl [3.0.15-1~deb12u1] (3.0.17 Debian:12/stable, D:1/x [amd64]) [libssl3:amd64 on openssl:i386] [openssl:i386 ]\nInst \
        libssl3:i386 [1] (2 Debian [i386]) []\nConf openssl (3.0.17 D [amd64])\nPurg held [1:2]\nRemv libssl3 [1] [x:amd64 ]\nInst new (1 D [all])\n";
    vec![
        odd.into(),
        include_bytes!("../../../../agent/tests/packages_fixtures/apt-get-simulate-upgrade.txt").to_vec(),
        include_bytes!("../../../../agent/tests/packages_fixtures/apt-get-simulate-removal.txt").to_vec(),
    ]
}
