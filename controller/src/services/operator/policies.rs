//! Policies.

use patchwave_common::domain::PolicyName;
use patchwave_common::domain::policy::{Policy, parse_policy};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time, wrong};
use crate::records::{FleetEvent, PolicyRecord};
use crate::store::{Change, Guard, MAX_PAGE, Write};

pub(super) async fn apply(call: &Call, request: wire::ApplyPolicyRequest) -> Result<wire::Policy, Status> {
    let policy = parse_policy(&request.toml).map_err(|error| wrong("policy", error))?;
    let name = policy.name.clone();
    let existing = call.read(move |store| store.policy(&name)).await?;
    let revision = existing.as_ref().map_or(0, |record| record.revision);
    if let Some(record) = existing.filter(|record| record.toml == request.toml) {
        return Ok(view(&record));
    }
    let mut record = PolicyRecord { name: policy.name.clone(), revision: 0, toml: request.toml, by: call.actor(), at: call.at };
    let text = format!("policy {} revision {} applied by {}", policy.name, revision + 1, call.name);
    let changes = vec![
        Change::PutPolicy(record.clone()),
        Change::AppendEvent(FleetEvent { at: call.at, kind: "policy-applied".into(), host: None, rollout: None, text }),
    ];
    call.write(Write::new(changes).when(Guard::PolicyRevision { policy: policy.name, expected: revision })).await?;
    record.revision = revision + 1;
    Ok(view(&record))
}

pub(super) async fn list(call: &Call, _: wire::ListPoliciesRequest) -> Result<wire::PolicyList, Status> {
    let records = call.read(|store| store.policies(None, MAX_PAGE)).await?;
    Ok(wire::PolicyList { policies: records.iter().map(view).collect() })
}

pub(super) async fn show(call: &Call, request: wire::ShowPolicyRequest) -> Result<wire::Policy, Status> {
    Ok(view(&load(call, &request.name).await?.0))
}

pub(super) async fn lint(call: &Call, request: wire::LintPolicyRequest) -> Result<wire::LintReport, Status> {
    let policy = if request.toml.is_empty() {
        load(call, &request.name).await?.1
    } else {
        parse_policy(&request.toml).map_err(|error| wrong("policy", error))?
    };
    let lints = call.app.conductor.ask(move |conductor| conductor.lint_policy(&policy)).await;
    let lints = lints.map_err(|error| Status::unavailable(error.to_string()))?;
    let lints = lints.map_err(|error| Status::failed_precondition(error.to_string()))?;
    Ok(wire::LintReport { lints: lints.iter().map(super::rollout_views::lint).collect() })
}

/// A policy as it stands, read and validated.
pub(super) async fn load(call: &Call, name: &str) -> Result<(PolicyRecord, Policy), Status> {
    let name = parsed("--policy", PolicyName::parse(name))?;
    let wanted = name.clone();
    let record = call.read(move |store| store.policy(&wanted)).await?;
    let record = record.ok_or_else(|| {
        Status::not_found(format!("there is no policy {name} (hint: `patchwave policy list`, `patchwave policy apply -f FILE`)"))
    })?;
    let policy = parse_policy(&record.toml).map_err(|error| wrong("policy", error))?;
    Ok((record, policy))
}

fn view(record: &PolicyRecord) -> wire::Policy {
    let policy = parse_policy(&record.toml).ok();
    wire::Policy {
        name: record.name.to_string(),
        revision: record.revision,
        description: policy.as_ref().map_or_else(String::new, |policy| policy.description.clone()),
        hosts: policy.as_ref().map_or_else(String::new, |policy| policy.hosts.to_string()),
        waves: policy.as_ref().map_or(0, |policy| u32::try_from(policy.waves.len()).unwrap_or(u32::MAX)),
        approvals: policy.as_ref().map_or(0, |policy| policy.approvals),
        applied_by: record.by.name(),
        applied_at: show_time(Some(record.at)),
        toml: record.toml.clone(),
    }
}
