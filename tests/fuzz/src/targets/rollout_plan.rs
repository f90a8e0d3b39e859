//! A stored plan: the first piece is its header, the others its segments.
//!
//! Holds: a plan that opens is sealed and opened again as the same plan; every index of every host is within it.

use bytes::Bytes;
use patchwave::rollout_log::{open, seal};

use super::rollout_step;
use crate::clean::assert_fit;
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let pieces = pieces::split(data);
    let Some((header, segments)) = pieces.split_first() else { return };
    let segments: Vec<Bytes> = segments.iter().map(|segment| Bytes::copy_from_slice(segment)).collect();
    let sealed = match patchwave::fuzzing::plan(header, &segments) {
        Ok(sealed) => sealed,
        Err(error) => return assert_fit(&error.to_string(), 500),
    };
    let plan = &sealed.plan;
    for host in plan.indexes() {
        let id = plan.host(host).unwrap();
        assert_eq!(plan.index_of(id), Some(host));
        let wave = plan.wave_of(host).unwrap();
        assert!(plan.rule(wave).is_some() && plan.planned_wave(wave).is_some() && plan.members(wave).contains(&host));
        assert!(plan.targets_of(host).is_some() && plan.site_of(host).is_some());
    }
    let (again, stored) = seal(plan.as_ref().clone());
    assert_eq!(&again.plan, plan);
    let opened = open(stored.root, &stored.header, &stored.segments).unwrap();
    assert_eq!((&opened.plan, opened.root), (plan, again.root));
}

/// The stored plan of release 0.1.0.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![pieces::join(rollout_step::GOLDEN_PLAN), pieces::join(&rollout_step::GOLDEN_PLAN[..1])]
}
