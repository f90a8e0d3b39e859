//! Rollouts: plan, approve, start, watch, explain, pause, resume, abort, take back.

use patchwave_common::domain::{HostId, OperatorName, RolloutId, Selector, Timestamp};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, wrong};
use super::rollout_views::{detail, explanation, planned, rollout_view};
use super::stream::Rows;
use crate::conductor::{Act, ActError, Conductor, PlanAsk, PlanAskKind, PlanRefused, host_history};
use crate::records::FleetEvent;
use crate::rollout::lint::Severity;
use crate::rollout::planner::UpdateRequest;
use crate::store::{Change, MAX_PAGE, Write};

/// Characters of a reason.
const MAX_REASON_CHARS: usize = 500;

fn id(text: &str) -> Result<RolloutId, Status> {
    parsed("ROLLOUT", RolloutId::parse(text))
}

fn reason(text: &str) -> String {
    patchwave_common::domain::clean_text(text.trim(), MAX_REASON_CHARS)
}

/// A new rollout's id: 40 random bits are plenty for one fleet, and people type them.
fn new_id() -> Result<RolloutId, Status> {
    RolloutId::parse(format!("r-{}", crate::random::base32(&rand::random::<[u8; 5]>())))
        .map_err(|error| Status::internal(error.to_string()))
}

pub(super) async fn plan(call: &Call, request: wire::PlanRolloutRequest) -> Result<wire::RolloutPlan, Status> {
    let (record, policy) = super::policies::load(call, &request.policy).await?;
    let updates = request.updates.iter().map(|update| parsed("--update", update.parse::<UpdateRequest>())).collect::<Result<_, _>>()?;
    let selector = parsed("--select", Selector::parse(&request.selector))?;
    let (name, revision) = (call.name.clone(), record.revision);
    make(call, PlanAsk { id: new_id()?, by: name, policy, policy_revision: revision, selector, updates, kind: PlanAskKind::Apply }).await
}

pub(super) async fn rollback(call: &Call, request: wire::RolloutReasonRequest) -> Result<wire::RolloutPlan, Status> {
    let planned = follow_up(call, &request.rollout, PlanAskKind::Reverse).await?;
    let made = planned.rollout.as_ref().map_or("", |rollout| rollout.id.as_str());
    if let Some(event) = rollback_event(call.at, &call.name, &id(&request.rollout)?, &id(made)?, &reason(&request.reason)) {
        call.write(Write::new(vec![Change::AppendEvent(event)])).await?;
    }
    Ok(planned)
}

/// Why healthy hosts shall be taken back too; a plan has no place for it.
fn rollback_event(at: Timestamp, by: &OperatorName, of: &RolloutId, made: &RolloutId, reason: &str) -> Option<FleetEvent> {
    let text = format!("rollout {made} was planned by {by} to take back rollout {of}: {reason}");
    (!reason.is_empty()).then(|| FleetEvent { at, kind: "rollback-planned".to_owned(), host: None, rollout: Some(made.clone()), text })
}

pub(super) async fn replan(call: &Call, request: wire::RolloutRequest) -> Result<wire::RolloutPlan, Status> {
    follow_up(call, &request.rollout, PlanAskKind::Successor).await
}

/// A plan about an earlier rollout: the same policy as it stood then, the same hosts and updates.
async fn follow_up(call: &Call, rollout: &str, kind: fn(RolloutId) -> PlanAskKind) -> Result<wire::RolloutPlan, Status> {
    let of = id(rollout)?;
    let (policy, policy_revision, selector, updates) = with(call, &of, |rollout, _| {
        let header = rollout.plan().header();
        (header.policy.clone(), header.policy_revision, header.selector.clone(), header.updates.clone())
    })
    .await?;
    make(call, PlanAsk { id: new_id()?, by: call.name.clone(), policy, policy_revision, selector, updates, kind: kind(of) }).await
}

async fn make(call: &Call, ask: PlanAsk) -> Result<wire::RolloutPlan, Status> {
    let made = call.app.conductor.plan(ask).await.map_err(|refused| match refused {
        PlanRefused::Plan(_) | PlanRefused::NoSuchRollout(_) => Status::not_found(refused.to_string()),
        PlanRefused::Nothing(_) => Status::failed_precondition(refused.to_string()),
        PlanRefused::Store(_) => Status::internal(refused.to_string()),
        PlanRefused::Gone => Status::unavailable(refused.to_string()),
    })?;
    let id = made.id.clone();
    with(call, &id, move |rollout, conductor| planned(rollout, &made, conductor)).await
}

pub(super) async fn approve(call: &Call, request: wire::RolloutRequest) -> Result<wire::Rollout, Status> {
    act(call, &request.rollout, Act::Approve(call.name.clone())).await
}

pub(super) async fn start(call: &Call, request: wire::StartRolloutRequest) -> Result<wire::Rollout, Status> {
    if !request.despite_lints {
        let errors = with(call, &id(&request.rollout)?, |rollout, conductor| conductor.lint_rollout(rollout)).await?;
        let errors: Vec<String> =
            errors.iter().filter(|lint| lint.severity == Severity::Error).map(|lint| format!("{} ({})", lint.message, lint.hint)).collect();
        if !errors.is_empty() {
            return Err(Status::failed_precondition(format!(
                "the plan cannot do what it is for: {} (hint: mend it and plan again, or start with --despite-lints)",
                errors.join("; ")
            )));
        }
    }
    act(call, &request.rollout, Act::Start(call.name.clone())).await
}

pub(super) async fn pause(call: &Call, request: wire::RolloutReasonRequest) -> Result<wire::Rollout, Status> {
    act(call, &request.rollout, Act::Pause(call.name.clone(), reason(&request.reason))).await
}

pub(super) async fn resume(call: &Call, request: wire::RolloutReasonRequest) -> Result<wire::Rollout, Status> {
    act(call, &request.rollout, Act::Resume(call.name.clone(), reason(&request.reason))).await
}

pub(super) async fn abort(call: &Call, request: wire::RolloutReasonRequest) -> Result<wire::Rollout, Status> {
    act(call, &request.rollout, Act::Abort(call.name.clone(), reason(&request.reason))).await
}

pub(super) async fn report_harm(call: &Call, request: wire::ReportHarmRequest) -> Result<wire::Rollout, Status> {
    let host = super::hosts::find(call, &request.host)?.record.id.clone();
    let reason = reason(&request.reason);
    if reason.is_empty() {
        return Err(wrong("--reason", "say what you saw; it is kept"));
    }
    act(call, &request.rollout, Act::ReportHarm(call.name.clone(), host, reason)).await
}

async fn act(call: &Call, rollout: &str, act: Act) -> Result<wire::Rollout, Status> {
    let id = id(rollout)?;
    call.app.conductor.act(id.clone(), act).await.map_err(|error| match error {
        ActError::NoSuchRollout(_) => Status::not_found(error.to_string()),
        ActError::Rejected(_) => Status::failed_precondition(error.to_string()),
        ActError::Store(_) => Status::internal(error.to_string()),
        ActError::Gone => Status::unavailable(error.to_string()),
    })?;
    with(call, &id, rollout_view).await
}

pub(super) async fn list(call: &Call, _: wire::ListRolloutsRequest) -> Result<wire::RolloutList, Status> {
    let heads = call.read(|store| store.rollouts(None, MAX_PAGE)).await?;
    let mut rollouts = Vec::with_capacity(heads.len());
    for head in heads {
        rollouts.push(with(call, &head.id, rollout_view).await?);
    }
    rollouts.sort_by(|left, right| right.created_at.cmp(&left.created_at));
    Ok(wire::RolloutList { rollouts })
}

pub(super) async fn show(call: &Call, request: wire::RolloutRequest) -> Result<wire::RolloutDetail, Status> {
    with(call, &id(&request.rollout)?, detail).await
}

pub(super) async fn explain(call: &Call, request: wire::ExplainRolloutRequest) -> Result<wire::Explanation, Status> {
    let host: HostId = super::hosts::find(call, &request.host)?.record.id.clone();
    let id = id(&request.rollout)?;
    let (mut explained, plan) = {
        let host = host.clone();
        with(call, &id, move |rollout, conductor| (explanation(rollout, &host, conductor), rollout.plan().clone())).await?
    };
    if let Some(index) = plan.index_of(&host) {
        explained.history = call.read(move |store| host_history(store, &plan, index)).await?;
    }
    Ok(explained)
}

/// The rollout as it is, and again whenever it changes, until it has ended; at least once a second, so that elapsed time moves.
pub(super) async fn watch(call: &Call, request: wire::RolloutRequest) -> Result<Rows<wire::RolloutDetail>, Status> {
    const REDRAW: std::time::Duration = std::time::Duration::from_secs(1);
    let id = id(&request.rollout)?;
    let first = with(call, &id, detail).await?;
    let (sender, rows) = Rows::live();
    let conductor = call.app.conductor.clone();
    let mut changes = conductor.changes();
    tokio::spawn(async move {
        let mut next = Some(first);
        loop {
            let Some(view) = next.take() else { return };
            let ended = view.rollout.as_ref().is_none_or(|rollout| crate::conductor::is_ended_name(&rollout.state));
            if sender.send(Ok(view)).await.is_err() || ended {
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REDRAW) => {}
                () = sender.closed() => return,
            }
            let wanted = id.clone();
            next = conductor.ask(move |conductor| conductor.view(&wanted, detail)).await.ok().flatten();
        }
    });
    Ok(rows)
}

/// Looks at a rollout inside the conductor; one that has ended long ago is loaded first.
async fn with<T: Send + 'static>(
    call: &Call,
    id: &RolloutId,
    look: impl FnOnce(&crate::rollout::Rollout, &Conductor) -> T + Send + 'static,
) -> Result<T, Status> {
    call.app.conductor.ensure_loaded(id.clone()).await.map_err(|error| match error {
        ActError::NoSuchRollout(_) => Status::not_found(error.to_string()),
        ActError::Gone => Status::unavailable(error.to_string()),
        error => Status::internal(error.to_string()),
    })?;
    let wanted = id.clone();
    let looked = call.app.conductor.ask(move |conductor| conductor.view(&wanted, look)).await;
    looked.map_err(|error| Status::unavailable(error.to_string()))?.ok_or_else(|| Status::not_found(format!("there is no rollout {id}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn why_a_rollback_was_planned_is_told_with_the_reverse_rollout() {
        let (of, made) = (RolloutId::parse("r-old").unwrap(), RolloutId::parse("r-new").unwrap());
        let by = OperatorName::parse("anna").unwrap();
        let event = rollback_event(Timestamp(0), &by, &of, &made, "slow after a week").unwrap();
        assert_eq!(
            (event.rollout.as_ref(), event.text.as_str()),
            (Some(&made), "rollout r-new was planned by anna to take back rollout r-old: slow after a week")
        );
        assert_eq!(rollback_event(Timestamp(0), &by, &of, &made, ""), None);
    }
}
