//! What an agent can do with an instruction. Two implementations, two kinds of agent: one that holds the patching parts, and
//! [`NoHands`], which holds nothing, so that a report-only agent has no path to execution that a mistake could open.

use std::future::Future;

use patchwave_common::domain::{DirectiveHistory, DirectiveProgress, Feature, Generation, NotStagedReason, RefusalReason, StageResult};

use super::protocol::{Event, Instruction};
use crate::packages::PackageError;

/// What the host carries when a link begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// The directive that it carries, or the last that it ended.
    pub directive: Option<DirectiveHistory>,
    /// Newest generation seen.
    pub newest: Option<Generation>,
}

/// Fetches the archive's indexes; blocks.
pub type Refresh = Box<dyn FnOnce() -> Result<(), PackageError> + Send>;

/// What carries instructions out.
pub trait Hands: Send + 'static {
    /// What the agent can do, for the hello.
    fn features(&self) -> Vec<Feature>;

    /// A link is open and the hello is about to be made.
    fn connected(&mut self) -> impl Future<Output = Carried> + Send;

    /// How far the host's civil clock is ahead of the controller's, in milliseconds (rule 28).
    fn clock_offset(&mut self, ahead_ms: i64) -> impl Future<Output = ()> + Send;

    /// Takes an instruction; returns what is to be told at once. What follows later comes as events of its own.
    fn instruct(&mut self, instruction: Instruction) -> impl Future<Output = Vec<Event>> + Send;

    /// How to fetch the archive's indexes; `None` for an agent that only looks at what others fetched.
    fn refresh(&self) -> Option<Refresh>;
}

/// The hands of a report-only agent.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHands;

impl Hands for NoHands {
    fn features(&self) -> Vec<Feature> {
        Vec::new()
    }

    async fn connected(&mut self) -> Carried {
        Carried::default()
    }

    async fn clock_offset(&mut self, _ahead_ms: i64) {}

    async fn instruct(&mut self, instruction: Instruction) -> Vec<Event> {
        const DETAIL: &str = "this host agreed to report and nothing more; to let it be patched, enrol it anew with a managed token";
        let answer = match instruction {
            Instruction::Directive(directive) => Event::Progress {
                generation: directive.generation,
                progress: DirectiveProgress::Refused { reason: RefusalReason::ReportOnly, detail: DETAIL.to_owned() },
            },
            Instruction::Stage(request) => Event::Staged {
                rollout: request.rollout,
                result: StageResult::NotStaged { reason: NotStagedReason::Other, detail: DETAIL.to_owned() },
            },
            // Nothing was begun, so there is nothing to lease, withdraw or conclude; and a pin would be a change.
            Instruction::Lease { .. } | Instruction::Withdraw(_) | Instruction::Conclude { .. } | Instruction::Quarantine(_) => {
                return Vec::new();
            }
        };
        vec![answer]
    }

    fn refresh(&self) -> Option<Refresh> {
        None
    }
}
