//! Staging: downloads ahead, one at a time. It is no directive, needs no claim and changes nothing that is installed (rule 17).

use std::collections::VecDeque;
use std::sync::PoisonError;

use patchwave_common::domain::{NotStagedReason, RefusalReason, RolloutId, StageRequest, StageResult};

use super::{Driver, Told};
use crate::packages::StagedSet;
use crate::patching::handle::Event;
use crate::patching::machine::Refusal;

/// Rollouts that may wait. A host is in one or two at a time; more is a controller that does not clean up.
const QUEUE: usize = 16;

/// Requests that wait, and the one that runs.
#[derive(Debug, Default)]
pub(super) struct Staging {
    waiting: VecDeque<StageRequest>,
    running: Option<StageRequest>,
}

/// How a staging ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) request: StageRequest,
    pub(super) result: StageResult,
    pub(super) staged: Option<StagedSet>,
}

impl Staging {
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Takes a request: a newer one of the same rollout replaces the older, the same one again is one. What had to give way comes back.
    pub(super) fn add(&mut self, request: StageRequest) -> Option<StageRequest> {
        self.waiting.retain(|waiting| waiting.rollout != request.rollout);
        if self.running.as_ref() == Some(&request) {
            return None;
        }
        self.waiting.push_back(request);
        if self.waiting.len() > QUEUE { self.waiting.pop_front() } else { None }
    }

    /// The request to run now, if none runs.
    pub(super) fn next(&mut self) -> Option<StageRequest> {
        if self.running.is_some() {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.running.clone()
    }

    /// The running request ended; `true` if its result is still wanted.
    pub(super) fn end(&mut self, rollout: &RolloutId) -> bool {
        self.running = None;
        self.waiting.iter().all(|waiting| waiting.rollout != *rollout)
    }
}

impl Driver {
    pub(super) fn enqueue_stage(&mut self, request: StageRequest) {
        if let Some(Refusal { reason: RefusalReason::Quarantined, detail }) = self.machine.quarantine_refusal(&request.targets) {
            self.tell_staged(&request, StageResult::NotStaged { reason: NotStagedReason::Quarantined, detail });
            return;
        }
        if let Some(dropped) = self.staging.add(request) {
            let detail = format!("more than {QUEUE} rollouts wait to be staged on this host");
            self.tell_staged(&dropped, StageResult::NotStaged { reason: NotStagedReason::Other, detail });
        }
        self.stage_next();
    }

    fn stage_next(&mut self) {
        let Some(request) = self.staging.next() else { return };
        let (work, tell) = (self.work.clone(), self.tell.clone());
        tokio::task::spawn_blocking(move || {
            let (result, staged) = work.stage(&request);
            let _ = tell.blocking_send(Told::Staged(Outcome { request, result, staged }));
        });
    }

    pub(super) fn staged(&mut self, outcome: Outcome) {
        let Outcome { request, result, staged } = outcome;
        if let Some(staged) = staged {
            let note = crate::patching::retention::StagedNote { at: self.clock.now(), digests: staged.digests().collect() };
            let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = note.save(store.layout(), &request.rollout) {
                tracing::warn!(%error, "what was staged cannot be remembered and may be deleted too early");
            }
        }
        if self.staging.end(&request.rollout) {
            self.tell_staged(&request, result);
        }
        self.stage_next();
    }

    fn tell_staged(&self, request: &StageRequest, result: StageResult) {
        tracing::info!(rollout = %request.rollout, ?result, "staging ended");
        self.tell_session(Event::Staged { rollout: request.rollout.clone(), plan_root: request.plan_root, result });
    }
}
