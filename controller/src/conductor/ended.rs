//! What a host is told that carries a directive which nobody orders any more.
//!
//! A rollout that let go of the host says how. Where none does, the log does not know the directive: it was given after the backup that
//! was restored, or the rollout that was to take it back never ordered it. What has not begun is withdrawn. What was applied stays, is
//! concluded so that the host is free for other orders, and is told to people; what is on its way is waited for.

use patchwave_common::domain::policy::KEEP_ORIGINALS_DEFAULT;
use patchwave_common::domain::{DirectiveProgress, Generation, HostId, ToAgent};

use super::batch::Batch;
use super::{Conductor, story};
use crate::records::FleetEvent;

impl Conductor {
    /// Tells a host that nobody orders what becomes of its directive, after the batch.
    pub(super) fn ended(&mut self, host: &HostId, generation: Generation, progress: &DirectiveProgress, batch: &mut Batch) {
        let told = match self.concluded_by(host, generation) {
            Some(conclude) => Some(conclude),
            None => self.unknown(host, generation, progress, batch),
        };
        let Some(message) = told else { return };
        let (sessions, host) = (self.sessions.clone(), host.clone());
        batch.after(move |_| {
            sessions.send(&host, message);
        });
    }

    /// The conclusion, where a rollout says that it is done with this directive.
    pub(super) fn concluded_by(&self, host: &HostId, generation: Generation) -> Option<ToAgent> {
        let rollout = self.rollouts.values().find(|rollout| rollout.conclude_for(host) == Some(generation))?;
        Some(ToAgent::Conclude { generation, keep_originals: rollout.plan().policy().limits.keep_originals })
    }

    fn unknown(&mut self, host: &HostId, generation: Generation, progress: &DirectiveProgress, batch: &mut Batch) -> Option<ToAgent> {
        let standing = match progress {
            DirectiveProgress::Accepted | DirectiveProgress::Ready => return Some(ToAgent::Withdraw(generation)),
            // It will say where it comes to rest.
            DirectiveProgress::Applying | DirectiveProgress::Verifying | DirectiveProgress::TakingBack => return None,
            // It is as it was.
            DirectiveProgress::Refused { .. } | DirectiveProgress::TakenBack => return None,
            DirectiveProgress::Healthy => "is healthy with it".to_owned(),
            DirectiveProgress::Harmed { detail, .. } => format!("was harmed by it: {detail}"),
            DirectiveProgress::NeedsAttention { detail } => format!("needs attention: {detail}"),
        };
        let name = story::host_name(&self.fleet, host);
        let text = format!(
            "{name} carried out directive {generation}, of which no log here knows (was a backup restored?); it {standing}. It keeps what it has \
             (hint: `patchwave host show {name}`; a new rollout brings it to where the others are)"
        );
        tracing::warn!(%host, %generation, ?progress, "the host carries a directive that no log knows; it keeps what it has");
        let event = FleetEvent { at: self.clock.now(), kind: "unknown-directive".into(), host: Some(host.clone()), rollout: None, text };
        // A host that needs attention says so at each hello; people are told once.
        if self.unknown_told.insert(host.clone(), generation) != Some(generation) {
            batch.tell(event);
        }
        matches!(progress, DirectiveProgress::Healthy | DirectiveProgress::Harmed { .. })
            .then_some(ToAgent::Conclude { generation, keep_originals: KEEP_ORIGINALS_DEFAULT })
    }
}
