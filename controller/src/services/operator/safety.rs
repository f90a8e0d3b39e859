//! Quarantine and halt: what the whole fleet must not do.

use patchwave_common::domain::QuarantineKey;
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, show_time, wrong};
use crate::records::{FleetEvent, HaltRecord, Lift, QuarantineRecord};
use crate::store::{Change, MAX_PAGE, Write};

pub(super) async fn list_quarantine(call: &Call, request: wire::ListQuarantineRequest) -> Result<wire::QuarantineList, Status> {
    let records = all(call).await?;
    let shown = records.iter().filter(|record| request.all || record.lifted.is_none());
    Ok(wire::QuarantineList { entries: shown.map(view).collect() })
}

pub(super) async fn lift_quarantine(call: &Call, request: wire::LiftQuarantineRequest) -> Result<wire::QuarantineEntry, Status> {
    let reason = patchwave_common::domain::clean_text(request.reason.trim(), 500);
    if reason.is_empty() {
        return Err(wrong("--reason", "lifting a quarantine needs a reason; it is kept"));
    }
    let record = all(call).await?.into_iter().find(|record| record.lifted.is_none() && id(&record.key) == request.id);
    let mut record = record.ok_or_else(|| {
        let id = patchwave_common::domain::clean_text(&request.id, 80);
        Status::not_found(format!("nothing with the id \"{id}\" is in quarantine (hint: `patchwave quarantine list`)"))
    })?;
    let lift = Lift { by: call.actor(), reason, at: call.at };
    let text = format!("quarantine of {} {} lifted by {}: {}", record.key.source, record.key.version, call.name, lift.reason);
    let changes = vec![
        Change::LiftQuarantine { key: record.key.clone(), lift: lift.clone() },
        Change::AppendEvent(FleetEvent { at: call.at, kind: "quarantine-lifted".into(), host: None, rollout: None, text }),
    ];
    call.write(Write::new(changes)).await?;
    record.lifted = Some(lift);
    call.app.conductor.fleet_rules_changed().await;
    Ok(view(&record))
}

pub(super) async fn set_halt(call: &Call, request: wire::SetHaltRequest) -> Result<wire::Halt, Status> {
    let reason = patchwave_common::domain::clean_text(request.reason.trim(), 500);
    let record = HaltRecord { on: request.halted, by: call.actor(), reason, at: call.at };
    let text = format!("{} by {} {}", if record.on { "fleet halted" } else { "halt lifted" }, call.name, record.reason);
    let kind = if record.on { "halted" } else { "halt-lifted" };
    let changes = vec![
        Change::SetHalt(record),
        Change::AppendEvent(FleetEvent { at: call.at, kind: kind.into(), host: None, rollout: None, text: text.trim().to_owned() }),
    ];
    call.write(Write::new(changes)).await?;
    call.app.conductor.fleet_rules_changed().await;
    show_halt(call, wire::ShowHaltRequest {}).await
}

pub(super) async fn show_halt(call: &Call, _: wire::ShowHaltRequest) -> Result<wire::Halt, Status> {
    let (record, revision) = call.read(|store| Ok((store.halt()?, store.fleet_revision()?))).await?;
    Ok(match record {
        None => wire::Halt { revision, ..wire::Halt::default() },
        Some(record) => {
            wire::Halt { halted: record.on, by: record.by.name(), at: show_time(Some(record.at)), reason: record.reason, revision }
        }
    })
}

async fn all(call: &Call) -> Result<Vec<QuarantineRecord>, Status> {
    call.read(|store| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.quarantine(after.as_ref(), MAX_PAGE)?;
            let last = page.len() < MAX_PAGE;
            after = page.last().map(|record: &QuarantineRecord| record.key.clone());
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    })
    .await
}

/// A short stable id of a key, for the command line.
pub(super) fn id(key: &QuarantineKey) -> String {
    let mut builder = patchwave_common::domain::DigestBuilder::default();
    builder.field(key.manager.as_str().as_bytes()).field(key.origin.as_bytes()).field(key.source.as_str().as_bytes());
    builder.field(key.version.as_str().as_bytes()).field(key.architecture.as_str().as_bytes());
    format!("q-{}", &builder.finish().to_string()[..10])
}

pub(super) fn view(record: &QuarantineRecord) -> wire::QuarantineEntry {
    let lifted = record.lifted.as_ref();
    wire::QuarantineEntry {
        id: id(&record.key),
        manager: record.key.manager.as_str().to_owned(),
        origin: record.key.origin.clone(),
        source: record.key.source.to_string(),
        version: record.key.version.to_string(),
        architecture: record.key.architecture.to_string(),
        reason: record.reason.clone(),
        rollout: record.rollout.as_ref().map_or_else(String::new, ToString::to_string),
        since: show_time(Some(record.since)),
        lifted_at: show_time(lifted.map(|lift| lift.at)),
        lifted_by: lifted.map_or_else(String::new, |lift| lift.by.name()),
        lifted_reason: lifted.map_or_else(String::new, |lift| lift.reason.clone()),
    }
}
