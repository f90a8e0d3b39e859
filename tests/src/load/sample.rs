//! One simulated host's values, for benches of the parts.
#![allow(clippy::expect_used)] // Constants that parse.

use patchwave::records::{HostRecord, Serial};
use patchwave_common::domain::{Hello, Inventory, Timestamp};

use super::world::Content;
use super::{identities, world};

const PACKAGES: u32 = 860;
const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn content() -> Content {
    Content::new(PACKAGES).expect("a fixed content")
}

/// An inventory, before or after a change of this name.
#[must_use]
pub fn inventory(change: Option<&str>) -> Inventory {
    let content = content();
    change.map_or_else(|| content.inventory.clone(), |name| content.changed(name).expect("a fixed name"))
}

/// A host's first word.
#[must_use]
pub fn hello() -> Hello {
    let content = content();
    world::hello(7, &content, content.inventory.digest(), NOW).expect("a fixed hello")
}

/// Hosts as the store has them; without content, which the store would have to have.
#[must_use]
pub fn hosts(how_many: u32) -> Vec<HostRecord> {
    let (content, serial) = (content(), Serial::from_bytes(&[1]).expect("a fixed serial"));
    let host = |number| identities::host(number, serial.clone(), &content, NOW).expect("a fixed host");
    (0..how_many).map(|number| HostRecord { inventory: None, candidates: None, ..host(number) }).collect()
}
