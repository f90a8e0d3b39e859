//! The last words: what happened in short and how to go on. Said only after `verify` found that it is so.

use std::time::Duration;

use super::packages::{BAD, FIRST, GOOD};
use super::summary::RolloutSummary;

/// What happened, in plain words.
pub(super) fn in_short(good: &RolloutSummary, bad: &RolloutSummary, witness: &str, this_machine: &str, took: Duration) -> String {
    let kept = bad.hosts_changed - bad.hosts_restored;
    format!(
        "
In short
  shop {GOOD} went to all {} hosts, wave by wave, in {:.0} s. None was harmed.
  shop {BAD} was stopped after {:.0} s: the {kept} test hosts run it well, the {} canaries did not and are back on exactly
  shop {GOOD} with their administrators' settings, and the other {} hosts were never ordered to apply it.
  No host gets it now: it is in quarantine until an operator lifts that. ({witness} on every host says the same.)
  {this_machine}
  All of it, from nothing through shop {FIRST}, took {:.0} s.",
        good.hosts_changed,
        good.duration_seconds,
        bad.duration_seconds,
        bad.hosts_restored,
        bad.hosts_untouched,
        took.as_secs_f64()
    )
}

/// What to do next, when everything ends here.
pub(super) const HOW_TO_GO_ON: &str = "
How to go on
  cargo run --release --bin patchwave-demo -- --keep    leaves this fleet running, to look around in it
  README.md, \"Five minutes to a real fleet\"            from nothing to hosts of your own";

/// What to type while it is kept. `rollout` is the one that was stopped.
pub(super) fn look_around(folder: &str, connect: &str, rollout: &str) -> String {
    format!(
        "
Everything is still running, in {folder}. Look around from another terminal:

{connect}
  patchwave host list
  patchwave package hosts shop
  patchwave rollout show {rollout}
  patchwave rollout explain {rollout} cluster-1
  patchwave quarantine list
  patchwave events

Ctrl-C here ends it and removes the folder."
    )
}
