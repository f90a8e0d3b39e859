//! What a durable write costs, beside what the disk takes for a sync. By hand:
//! `cargo nextest run --release --workspace -E 'test(what_a_durable_write_costs)' --run-ignored all --no-capture`.

use std::io::Write as _;
use std::time::Instant;

use super::{Bed, write};
use crate::store::Write;
use crate::store::testing::*;

const COMMITS: u32 = 200;
/// Writes that one sync serves, as with a thousand agents.
const GROUP: usize = 100;

#[test]
#[ignore = "a measurement"]
fn what_a_durable_write_costs() {
    let mut file = tempfile::tempfile().unwrap();
    let began = Instant::now();
    for _ in 0..COMMITS {
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    println!("fdatasync of 4 KiB: {:.0} a second", f64::from(COMMITS) / began.elapsed().as_secs_f64());
    for kind in ["redb", "sled"] {
        let bed = Bed::new(kind);
        let began = Instant::now();
        for _ in 0..COMMITS {
            write(&bed.store(), vec![event("one write")]).unwrap();
        }
        let alone = f64::from(COMMITS) / began.elapsed().as_secs_f64();
        let began = Instant::now();
        for _ in 0..COMMITS {
            let group = (0..GROUP).map(|number| Write::new(vec![event(&format!("write {number} of a group"))])).collect();
            assert!(bed.store().write_many(group).iter().all(Result::is_ok));
        }
        let grouped = f64::from(COMMITS) * GROUP as f64 / began.elapsed().as_secs_f64();
        println!("{kind}: {alone:.0} writes a second one by one, {grouped:.0} in groups of {GROUP}");
    }
}
