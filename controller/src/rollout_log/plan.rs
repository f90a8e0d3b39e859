//! Plans: a header and hashed segments.

use bytes::Bytes;
use patchwave_common::domain::{Digest, HostId, RolloutId, Selector, Timestamp};
use patchwave_proto::store::rollout::v1 as proto;
use prost::Message;

use super::{LogError, StoredPlan, fields, policy};
use crate::records::Actor;
use crate::rollout::plan::{Emptied, Excluded, ExclusionReason, PlanHeader, PlanKind, PlannedHost, PlannedWave, SEGMENT_HOSTS, WaveIndex};
use crate::rollout::{Plan, SealedPlan};

/// The format of plans that this release writes.
const FORMAT: u32 = 1;

/// Encodes a plan and names it.
#[must_use]
pub fn seal(plan: Plan) -> (SealedPlan, StoredPlan) {
    let hosts: Vec<PlannedHost> = plan.hosts().collect();
    let mut segments: Vec<Bytes> = hosts.chunks(SEGMENT_HOSTS).map(host_segment).collect();
    segments.extend(plan.excluded().chunks(SEGMENT_HOSTS).map(excluded_segment));
    let digests = segments.iter().map(|segment| Digest::of(segment).0.to_vec()).collect();
    let header = Bytes::from(root(&plan, digests).encode_to_vec());
    let root = Digest::of(&header);
    (SealedPlan { plan: std::sync::Arc::new(plan), root }, StoredPlan { root, header, segments })
}

fn root(plan: &Plan, segments: Vec<Vec<u8>>) -> proto::PlanRoot {
    let header = plan.header();
    proto::PlanRoot {
        format: FORMAT,
        rollout: header.rollout.to_string(),
        reverse_of: if let PlanKind::Reverse { of } = &header.kind { Some(of.to_string()) } else { None },
        planned_at_ms: header.planned_at.0,
        planned_by: header.planned_by.to_string(),
        policy: Some(policy::encode(&header.policy)),
        policy_revision: header.policy_revision,
        selector: header.selector.to_string(),
        updates: header.updates.iter().map(ToString::to_string).collect(),
        waves: header.waves.iter().map(encode_wave).collect(),
        sites: header.sites.clone(),
        target_sets: plan.target_sets().iter().map(fields::encode_targets).collect(),
        hosts: plan.host_count(),
        excluded: u32::try_from(plan.excluded().len()).unwrap_or(u32::MAX),
        segments,
    }
}

fn encode_wave(wave: &PlannedWave) -> proto::PlannedWave {
    let emptied = wave.emptied.map_or("", Emptied::as_str).to_owned();
    proto::PlannedWave { earliest_start_ms: wave.earliest_start.0, emptied }
}

fn host_segment(hosts: &[PlannedHost]) -> Bytes {
    let segment = proto::PlanSegment {
        host: hosts.iter().map(|host| host.id.to_string()).collect(),
        wave: hosts.iter().map(|host| u32::from(host.wave.0)).collect(),
        rank: hosts.iter().map(|host| host.rank).collect(),
        targets: hosts.iter().map(|host| host.targets).collect(),
        site: hosts.iter().map(|host| host.site).collect(),
        of: hosts.iter().filter_map(|host| host.of).map(fields::encode_generation).collect(),
        excluded: Vec::new(),
    };
    segment.encode_to_vec().into()
}

fn excluded_segment(excluded: &[Excluded]) -> Bytes {
    let encode = |excluded: &Excluded| proto::Excluded {
        host: excluded.host.to_string(),
        reason: excluded.reason.as_str().to_owned(),
        detail: excluded.detail.clone(),
    };
    let segment = proto::PlanSegment { excluded: excluded.iter().map(encode).collect(), ..proto::PlanSegment::default() };
    segment.encode_to_vec().into()
}

/// Reads a stored plan and proves that it is the one that `root` names.
///
/// # Errors
/// Where a byte differs from what was sealed, or the plan was written by a newer release.
pub fn open(root: Digest, header: &[u8], segments: &[Bytes]) -> Result<SealedPlan, LogError> {
    if Digest::of(header) != root {
        return Err(LogError::Digest { what: "plan header" });
    }
    let record = proto::PlanRoot::decode(header).map_err(|error| LogError::damaged("plan header", &error))?;
    if record.format != FORMAT {
        return Err(LogError::Missing("plan format"));
    }
    let named = record.segments.len() == segments.len()
        && record.segments.iter().zip(segments).all(|(digest, segment)| Digest::of(segment).0.as_slice() == digest.as_slice());
    if !named {
        return Err(LogError::Digest { what: "plan segment" });
    }
    let (mut hosts, mut excluded) = (Vec::new(), Vec::new());
    for segment in segments {
        let segment = proto::PlanSegment::decode(segment.as_ref()).map_err(|error| LogError::damaged("plan segment", &error))?;
        read_hosts(&segment, &mut hosts)?;
        for left in segment.excluded {
            excluded.push(Excluded {
                host: HostId::parse(&left.host)?,
                reason: ExclusionReason::parse(&left.reason)?,
                detail: left.detail,
            });
        }
    }
    let complete = u32::try_from(hosts.len()).ok() == Some(record.hosts) && u32::try_from(excluded.len()).ok() == Some(record.excluded);
    if !complete {
        return Err(LogError::Missing("complete list of hosts"));
    }
    let target_sets = record.target_sets.iter().map(fields::decode_targets).collect::<Result<_, _>>()?;
    let plan = Plan::new(decode_header(record)?, target_sets, hosts, excluded)?;
    Ok(SealedPlan { plan: std::sync::Arc::new(plan), root })
}

fn decode_header(record: proto::PlanRoot) -> Result<PlanHeader, LogError> {
    let decode_wave = |wave: &proto::PlannedWave| {
        let emptied = if wave.emptied.is_empty() { None } else { Some(Emptied::parse(&wave.emptied)?) };
        Ok::<_, LogError>(PlannedWave { earliest_start: Timestamp(wave.earliest_start_ms), emptied })
    };
    Ok(PlanHeader {
        rollout: RolloutId::parse(&record.rollout)?,
        kind: match &record.reverse_of {
            None => PlanKind::Apply,
            Some(of) => PlanKind::Reverse { of: RolloutId::parse(of)? },
        },
        planned_at: Timestamp(record.planned_at_ms),
        planned_by: Actor::parse(&record.planned_by)?,
        policy: policy::decode(record.policy.ok_or(LogError::Missing("policy"))?)?,
        policy_revision: record.policy_revision,
        selector: Selector::parse(&record.selector)?,
        updates: record.updates.iter().map(|update| update.parse()).collect::<Result<_, _>>()?,
        waves: record.waves.iter().map(decode_wave).collect::<Result<_, _>>()?,
        sites: record.sites,
    })
}

fn read_hosts(segment: &proto::PlanSegment, hosts: &mut Vec<PlannedHost>) -> Result<(), LogError> {
    let count = segment.host.len();
    let whole = [segment.wave.len(), segment.rank.len(), segment.targets.len(), segment.site.len()].iter().all(|&length| length == count);
    if !whole || count > SEGMENT_HOSTS || (!segment.of.is_empty() && segment.of.len() != count) {
        return Err(LogError::Missing("complete list of hosts"));
    }
    let columns = segment.host.iter().zip(&segment.wave).zip(&segment.rank).zip(&segment.targets).zip(&segment.site);
    for (row, ((((id, &wave), &rank), &targets), &site)) in columns.enumerate() {
        let wave = WaveIndex(u16::try_from(wave).map_err(|_| LogError::Missing("wave"))?);
        let of = segment.of.get(row).map(fields::decode_generation);
        hosts.push(PlannedHost { id: HostId::parse(id)?, wave, rank, targets, site, of });
    }
    Ok(())
}
