//! Hosts: list, show, label, retire, replace.

use std::sync::Arc;

use patchwave_common::domain::policy::PatchKind;
use patchwave_common::domain::{LabelKey, Labels, Mark, Selector, StopCause, ToAgent};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time, wrong};
use super::packages::is_quarantined;
use super::stream::Rows;
use super::tokens::label_map;
use crate::fleet::{FleetHost, alarms};
use crate::records::{FleetEvent, HostState, HostUpdate, Revocation};
use crate::store::{Change, Guard, Write};

pub(super) fn find(call: &Call, text: &str) -> Result<Arc<FleetHost>, Status> {
    call.app.fleet.find(text).map_err(|error| Status::not_found(error.to_string()))
}

pub(super) async fn list(call: &Call, request: wire::ListHostsRequest) -> Result<Rows<wire::Host>, Status> {
    let selector = parsed("selector", Selector::parse(&request.selector))?;
    let mut hosts = call.app.fleet.all();
    // By name, as people look for it; the sort is stable, so those of one name stay in the order of their ids.
    hosts.sort_by(|left, right| left.record.facts.hostname.cmp(&right.record.facts.hostname));
    Ok(Rows::of(hosts.iter().filter(|host| host.matches(&selector)).map(|host| view(call, host)).collect()))
}

pub(super) async fn show(call: &Call, request: wire::ShowHostRequest) -> Result<wire::HostDetail, Status> {
    let host = find(call, &request.host)?;
    let record = &host.record;
    let serial = record.certificate.clone();
    let certificate = call.read(move |store| store.certificate(&serial)).await?;
    let packages = host.inventory.iter().flat_map(|inventory| inventory.iter()).map(|package| wire::InstalledPackage {
        name: package.id.name.to_string(),
        architecture: package.id.architecture.to_string(),
        version: package.version.to_string(),
        source: package.source.to_string(),
        state: match package.state {
            patchwave_common::domain::InstallState::Installed => "installed",
            patchwave_common::domain::InstallState::ConfigFiles => "config-files",
            patchwave_common::domain::InstallState::Incomplete => "incomplete",
        }
        .to_owned(),
        mark: if package.mark == Mark::Auto { "auto" } else { "manual" }.to_owned(),
        held: package.held,
    });
    let quarantine = call.app.conductor.quarantine();
    let updates = host.candidates.iter().flat_map(|set| &set.candidates).map(|candidate| wire::Update {
        name: candidate.id.name.to_string(),
        architecture: candidate.id.architecture.to_string(),
        source: candidate.source.to_string(),
        from_version: candidate.from.to_string(),
        to_version: candidate.to.to_string(),
        kind: PatchKind::of(candidate).as_str().to_owned(),
        origin: candidate.origin.short(),
        hosts: 1,
        blocked_hosts: u32::from(candidate.blocked.is_some()),
        quarantined: is_quarantined(&quarantine, &candidate.id, &candidate.source, &candidate.origin, &candidate.to),
    });
    Ok(wire::HostDetail {
        host: Some(view(call, &host)),
        addresses: record.facts.addresses.clone(),
        cpus: record.facts.cpus,
        memory_bytes: record.facts.memory_bytes,
        booted_at: patchwave_common::domain::Timestamp(record.facts.booted_at_secs.saturating_mul(1000)).to_string(),
        reboot_packages: record.facts.reboot.packages.clone(),
        other_hands: record.facts.other_hands.clone(),
        hold: record.facts.hold.clone(),
        clock_offset_ms: record.clock_offset_ms,
        inventory_digest: record.inventory.map_or_else(String::new, |digest| digest.to_string()),
        packages: packages.collect(),
        updates: updates.collect(),
        replaced_by: if let HostState::Replaced { with, .. } = &record.state { with.to_string() } else { String::new() },
        certificate_expires_at: show_time(certificate.map(|certificate| certificate.not_after)),
    })
}

pub(super) async fn label(call: &Call, request: wire::LabelHostsRequest) -> Result<wire::HostList, Status> {
    if request.changes.is_empty() {
        return Err(wrong("label", "nothing to change (hint: key=value sets a label, key- removes it)"));
    }
    // A selector (with = or in) labels many hosts; anything else names one.
    let hosts = if request.host.contains(['=', '!', ' ']) {
        let selector = parsed("selector", Selector::parse(&request.host))?;
        call.app.fleet.all().into_iter().filter(|host| host.is_active() && host.matches(&selector)).collect()
    } else {
        vec![find(call, &request.host)?]
    };
    let mut labelled = Vec::with_capacity(hosts.len());
    for host in hosts {
        let mut labels = host.record.labels.clone();
        for change in &request.changes {
            if let Some(key) = change.strip_suffix('-').filter(|_| !change.contains('=')) {
                let key = parsed("label", LabelKey::parse(key))?;
                labels.0.remove(&key);
            } else {
                let (key, value) = parsed("label", Labels::parse_pair(change))?;
                labels.0.insert(key, value);
            }
        }
        let id = host.record.id.clone();
        call.write(Write::new(vec![Change::UpdateHost { host: id.clone(), update: HostUpdate::Labels(labels.clone()) }])).await?;
        call.app.fleet.update_record(&id, |record| record.labels = labels);
        labelled.extend(call.app.fleet.get(&id).map(|host| view(call, &host)));
    }
    Ok(wire::HostList { hosts: labelled })
}

pub(super) async fn retire(call: &Call, request: wire::RetireHostRequest) -> Result<wire::Host, Status> {
    let host = find(call, &request.host)?;
    if !matches!(host.record.state, HostState::Retired { .. }) {
        end(call, &host, HostState::Retired { at: call.at, by: call.actor() }, "host-retired", &request.reason).await?;
    }
    let host = find(call, host.record.id.as_str())?;
    Ok(view(call, &host))
}

pub(super) async fn replace(call: &Call, request: wire::ReplaceHostRequest) -> Result<wire::Host, Status> {
    let (old, new) = (find(call, &request.old_host)?, find(call, &request.new_host)?);
    if old.record.id == new.record.id {
        return Err(wrong("NEW", "a host cannot replace itself"));
    }
    if !new.is_active() {
        return Err(Status::failed_precondition(format!(
            "host {} is {} (hint: enrol the new host first)",
            new.record.id,
            new.record.state.as_str()
        )));
    }
    if old.record.mode != new.record.mode {
        return Err(Status::failed_precondition(format!(
            "host {} is {} and host {} is {}; what a host agreed to does not pass to another (hint: enrol the new host with a token of that mode)",
            old.record.id,
            old.record.mode.as_str(),
            new.record.id,
            new.record.mode.as_str()
        )));
    }
    let new_id = new.record.id.clone();
    let changes = vec![
        Change::UpdateHost { host: new_id.clone(), update: HostUpdate::Labels(old.record.labels.clone()) },
        Change::UpdateHost { host: new_id.clone(), update: HostUpdate::Replaces(old.record.id.clone()) },
    ];
    call.write(Write::new(changes).when(Guard::HostRevision { host: new_id.clone(), expected: current_revision(call, &new_id).await? }))
        .await?;
    end(call, &old, HostState::Replaced { with: new_id.clone(), at: call.at, by: call.actor() }, "host-replaced", "").await?;
    call.app.fleet.update_record(&new_id, |record| {
        record.labels = old.record.labels.clone();
        record.replaces = Some(old.record.id.clone());
    });
    let new = find(call, new_id.as_str())?;
    Ok(view(call, &new))
}

pub(super) async fn refresh(call: &Call, request: wire::ListHostsRequest) -> Result<wire::RefreshAsked, Status> {
    let selector = parsed("selector", Selector::parse(&request.selector))?;
    let mut answer = wire::RefreshAsked::default();
    for host in call.app.fleet.all().iter().filter(|host| host.is_active() && host.matches(&selector)) {
        if call.app.sessions.send(&host.record.id, ToAgent::Refresh) {
            answer.asked += 1;
        } else {
            answer.away += 1;
        }
    }
    Ok(answer)
}

async fn current_revision(call: &Call, id: &patchwave_common::domain::HostId) -> Result<u64, Status> {
    let id = id.clone();
    Ok(call.read(move |store| store.host(&id)).await?.map_or(0, |record| record.revision))
}

/// Ends a host's part in the fleet: state, certificate, stream and rollouts.
async fn end(call: &Call, host: &FleetHost, state: HostState, kind: &str, reason: &str) -> Result<(), Status> {
    let id = host.record.id.clone();
    let text = match reason {
        "" => format!("host {id} is {} by {}", state.as_str(), call.name),
        reason => format!("host {id} is {} by {}: {}", state.as_str(), call.name, patchwave_common::domain::clean_text(reason, 200)),
    };
    let changes = vec![
        Change::UpdateHost { host: id.clone(), update: HostUpdate::State(state.clone()) },
        Change::RevokeCertificate { serial: host.record.certificate.clone(), revocation: Revocation { at: call.at, reason: text.clone() } },
        Change::AppendEvent(FleetEvent { at: call.at, kind: kind.to_owned(), host: Some(id.clone()), rollout: None, text: text.clone() }),
    ];
    call.write(Write::new(changes)).await?;
    call.app.fleet.update_record(&id, |record| record.state = state);
    call.app.directory.revoke(&host.record.certificate);
    call.app.sessions.stop(&id, StopCause::Retired, &text);
    call.app.conductor.world_changed();
    Ok(())
}

/// A host as lists show it.
pub(super) fn view(call: &Call, host: &FleetHost) -> wire::Host {
    let (record, now) = (&host.record, call.at);
    let presence = call.app.fleet.presence(host, now);
    let candidates = host.candidates.as_ref().map_or(&[][..], |set| &set.candidates);
    let security = candidates.iter().filter(|candidate| PatchKind::of(candidate) == PatchKind::Security).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    wire::Host {
        id: record.id.to_string(),
        name: record.facts.hostname.clone(),
        state: record.state.as_str().to_owned(),
        presence: presence.as_str().to_owned(),
        mode: record.mode.as_str().to_owned(),
        ring: record.labels.ring().as_str().to_owned(),
        labels: label_map(&record.labels),
        os: record.facts.os.clone(),
        release: record.facts.release.clone(),
        kernel: record.facts.kernel.clone(),
        architecture: record.facts.architecture.clone(),
        agent_version: record.facts.agent_version.clone(),
        enrolled_at: show_time(Some(record.enrolled_at)),
        last_seen_at: show_time(record.last_seen),
        packages: host.inventory.as_ref().map_or(0, |inventory| count(inventory.iter().filter(|package| package.is_installed()).count())),
        updates: count(candidates.len()),
        security_updates: count(security),
        reboot_required: record.facts.reboot.required,
        alarms: alarms(host, presence, now).into_iter().map(str::to_owned).collect(),
        rollout: call.app.conductor.claim_of(&record.id).map_or_else(String::new, |rollout| rollout.to_string()),
    }
}
