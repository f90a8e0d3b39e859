//! What agents report, as events of their rollouts.

use patchwave_common::domain::{DirectiveProgress, Generation, Hello, HostId, RolloutId, StageResult};

use super::Conductor;
use super::batch::Batch;
use crate::rollout::Rejected;

impl Conductor {
    /// An agent said hello: what it tells of its directive is taken up, then it is told where it stands.
    pub(super) async fn connected(&mut self, host: &HostId, hello: &Hello, batch: &mut Batch) {
        self.outrun(host, hello).await;
        self.look_all = true;
        self.sent.remove(host);
        self.answered.remove(host);
        if let Some(history) = &hello.directive {
            self.sent.insert(host.clone(), history.generation);
            for progress in &history.progress {
                self.progress_of(&history.rollout, host, history.generation, progress, batch).await;
            }
        }
        let ids: Vec<RolloutId> = self.rollouts.keys().cloned().collect();
        for id in ids {
            let Some(rollout) = self.rollouts.get(&id) else { continue };
            if rollout.plan().index_of(host).is_some() {
                batch.reconcile(&id, host, rollout.revision());
            }
        }
        if let Some(history) = hello.directive.as_ref().filter(|history| self.claim_for(host, history.generation).is_none())
            && let Some(progress) = history.current()
        {
            // Loaded so that it can say how it ended, also where that is long ago.
            let known = self.rollout(&history.rollout).await;
            if let Err(error) = known {
                return tracing::error!(rollout = %history.rollout, %host, %error, "the rollout could not be loaded");
            }
            self.ended(host, history.generation, progress, batch);
        }
    }

    /// News of a directive on an open stream.
    pub(super) async fn progress(&mut self, host: &HostId, generation: Generation, progress: &DirectiveProgress, batch: &mut Batch) {
        let Some(rollout) = self.claim_for(host, generation).cloned() else {
            if self.is_answered_first(host, generation, progress) {
                self.ended(host, generation, progress, batch);
            }
            return;
        };
        self.progress_of(&rollout, host, generation, progress, batch).await;
    }

    /// The rollout that orders the host, where that may be about a directive of this generation. One that is newer than the claim was given
    /// after the backup that was restored: the claim's rollout knows nothing of it, and nobody else will say that it is over.
    fn claim_for(&self, host: &HostId, generation: Generation) -> Option<&RolloutId> {
        self.claims.get(host).filter(|(_, claimed)| generation <= *claimed).map(|(rollout, _)| rollout)
    }

    async fn progress_of(
        &mut self,
        id: &RolloutId,
        host: &HostId,
        generation: Generation,
        progress: &DirectiveProgress,
        batch: &mut Batch,
    ) {
        let rollout = match self.rollout(id).await {
            Ok(Some(rollout)) => rollout,
            Ok(None) => return,
            Err(error) => return tracing::error!(rollout = %id, %error, "the rollout could not be loaded"),
        };
        let revision = rollout.revision();
        let outcome = rollout.observe(host, generation, progress);
        match outcome {
            Ok(event) => {
                if let Err(error) = self.record(id, event, batch) {
                    tracing::warn!(rollout = %id, %host, %error, "a report was not taken up");
                }
            }
            Err(Rejected::NoNews) => {}
            Err(error) => {
                tracing::debug!(rollout = %id, %host, %error, "a report does not fit");
                if !is_end(progress) && self.is_answered_first(host, generation, progress) {
                    // What it was sent did not make it say what fits: it is sent again.
                    self.sent.remove(host);
                    batch.reconcile(id, host, revision);
                }
            }
        }
        if *progress == DirectiveProgress::Accepted {
            self.metrics.directive_accepted(host);
        }
        if *progress == DirectiveProgress::Ready {
            batch.lease(id, host, generation, revision);
        }
    }

    /// Whether a report that does not fit is to be answered: not when the host says the same again. An answer is answered by the agent in
    /// turn, and the two would talk for ever.
    fn is_answered_first(&mut self, host: &HostId, generation: Generation, progress: &DirectiveProgress) -> bool {
        let report = (generation, progress.clone());
        self.answered.insert(host.clone(), report.clone()) != Some(report)
    }

    /// Staging ended on a host.
    pub(super) async fn staged(&mut self, host: &HostId, id: &RolloutId, result: &StageResult, batch: &mut Batch) {
        let Some(rollout) = self.rollouts.get(id) else { return };
        match rollout.observe_stage(host, result) {
            Ok(event) => {
                if let Err(error) = self.record(id, event, batch) {
                    tracing::warn!(rollout = %id, %host, %error, "a staging report was not taken up");
                }
            }
            Err(error) => tracing::debug!(rollout = %id, %host, %error, "a staging report tells nothing new"),
        }
    }
}

/// Whether a directive is over on the host after this.
fn is_end(progress: &DirectiveProgress) -> bool {
    matches!(progress, DirectiveProgress::Refused { .. } | DirectiveProgress::TakenBack | DirectiveProgress::NeedsAttention { .. })
}
