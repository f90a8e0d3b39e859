//! Events as stored bytes.

use bytes::Bytes;
use patchwave_common::domain::QuarantineKey;
use patchwave_proto::store::rollout::v1 as proto;
use prost::Message;
use proto::log_record::Event as Stored;

use super::fields;
use crate::rollout::{Event, HostIndex, Ordered, Progress, Recorded, StopReason, WaveIndex};

/// Encodes one event.
#[must_use]
pub fn encode(recorded: &Recorded) -> Bytes {
    proto::LogRecord { at_ms: recorded.at.0, event: Some(stored(&recorded.event)) }.encode_to_vec().into()
}

fn stored(event: &Event) -> Stored {
    match event {
        Event::Created { by, plan } => Stored::Created(proto::Created { by: by.to_string(), plan_root: plan.0.to_vec() }),
        Event::Approved { by } => Stored::Approved(person(by, "")),
        Event::Started { by } => Stored::Started(person(by, "")),
        Event::Paused { by, reason, detail } => Stored::Paused(paused(by, reason.as_str(), detail)),
        Event::Resumed { by } => Stored::Resumed(person(by, "")),
        Event::GateOverridden { by, wave, reason } => Stored::GateOverridden(overridden(by, *wave, reason)),
        Event::Aborted { by, reason } => Stored::Aborted(person(by, reason)),
        Event::Halted { revision } => Stored::Halted(proto::Revision { revision: *revision }),
        Event::HaltLifted { revision } => Stored::HaltLifted(proto::Revision { revision: *revision }),
        Event::HandedOver { to } => Stored::HandedOver(proto::HandedOver { to: to.to_string() }),
        Event::StageRequested { hosts } => Stored::StageRequested(list(hosts)),
        Event::HostStaged { host, way_back } => Stored::HostStaged(proto::HostStaged { host: host.0, way_back: *way_back }),
        Event::HostNotStaged { host, reason, detail } => Stored::HostNotStaged(not_staged(*host, reason.as_str(), detail)),
        Event::WaveStarted { wave } => Stored::WaveStarted(proto::Wave { wave: u32::from(wave.0) }),
        Event::Released { hosts } => Stored::Released(orders(hosts)),
        Event::Withdrawn { hosts } => Stored::Withdrawn(list(hosts)),
        Event::HostProgress { host, generation, progress: told } => {
            Stored::HostProgress(progress(*host, fields::encode_generation(*generation), told))
        }
        Event::HostSilent { hosts, cause } => Stored::HostSilent(because(hosts, cause.as_str())),
        Event::HostOffline { hosts, cause } => Stored::HostOffline(because(hosts, cause.as_str())),
        Event::HostReturned { hosts } => Stored::HostReturned(list(hosts)),
        Event::OperatorReportedHarm { host, by, reason } => Stored::ReportedHarm(reported(*host, by, reason)),
        Event::TakeBackOrdered { hosts } => Stored::TakeBackOrdered(orders(hosts)),
        Event::HostConcluded { hosts } => Stored::HostConcluded(list(hosts)),
        Event::HostRetired { hosts } => Stored::HostRetired(list(hosts)),
        Event::WavePassed { wave, because } => Stored::WavePassed(wave_because(*wave, because.as_str())),
        Event::WaveTimedOut { wave, waiting } => Stored::WaveTimedOut(wave_because(*wave, waiting.as_str())),
        Event::Stopped { reason } => Stored::Stopped(stopped(*reason)),
        Event::Quarantined { keys } => Stored::Quarantined(quarantined(keys)),
        Event::Completed { outcome } => Stored::Completed(outcome.to_string()),
    }
}

fn person(by: &impl ToString, reason: &str) -> proto::ByPerson {
    proto::ByPerson { by: by.to_string(), reason: reason.to_owned() }
}

fn paused(by: &impl ToString, reason: &str, detail: &str) -> proto::Paused {
    proto::Paused { by: by.to_string(), reason: reason.to_owned(), detail: detail.to_owned() }
}

fn overridden(by: &impl ToString, wave: WaveIndex, reason: &str) -> proto::GateOverridden {
    proto::GateOverridden { by: by.to_string(), wave: u32::from(wave.0), reason: reason.to_owned() }
}

fn list(hosts: &[HostIndex]) -> proto::Hosts {
    proto::Hosts { hosts: hosts.iter().map(|host| host.0).collect() }
}

fn because(hosts: &[HostIndex], cause: &str) -> proto::HostsBecause {
    proto::HostsBecause { hosts: hosts.iter().map(|host| host.0).collect(), cause: cause.to_owned() }
}

fn orders(orders: &[Ordered]) -> proto::Orders {
    let encode = |order: &Ordered| proto::Order { host: order.host.0, generation: Some(fields::encode_generation(order.generation)) };
    proto::Orders { orders: orders.iter().map(encode).collect() }
}

fn not_staged(host: HostIndex, reason: &str, detail: &str) -> proto::HostNotStaged {
    proto::HostNotStaged { host: host.0, reason: reason.to_owned(), detail: detail.to_owned() }
}

fn reported(host: HostIndex, by: &impl ToString, reason: &str) -> proto::ReportedHarm {
    proto::ReportedHarm { host: host.0, by: by.to_string(), reason: reason.to_owned() }
}

fn wave_because(wave: WaveIndex, because: &str) -> proto::WaveBecause {
    proto::WaveBecause { wave: u32::from(wave.0), because: because.to_owned() }
}

fn stopped(reason: StopReason) -> proto::Stopped {
    let wave = match reason {
        StopReason::RolloutLimit => None,
        StopReason::WaveLimit(wave) => Some(u32::from(wave.0)),
    };
    proto::Stopped { wave }
}

fn quarantined(keys: &[QuarantineKey]) -> proto::Quarantined {
    proto::Quarantined { keys: keys.iter().map(fields::encode_key).collect() }
}

fn progress(host: HostIndex, generation: proto::Generation, told: &Progress) -> proto::HostProgress {
    use proto::ProgressKind as Kind;
    let (kind, reason, detail) = match told {
        Progress::Accepted => (Kind::Accepted, "", ""),
        Progress::Refused { reason, detail } => (Kind::Refused, reason.as_str(), detail.as_str()),
        Progress::Applying => (Kind::Applying, "", ""),
        Progress::Begun => (Kind::Begun, "", ""),
        Progress::Verifying => (Kind::Verifying, "", ""),
        Progress::Healthy => (Kind::Healthy, "", ""),
        Progress::Harmed { reason, detail } => (Kind::Harmed, reason.as_str(), detail.as_str()),
        Progress::TakingBack => (Kind::TakingBack, "", ""),
        Progress::TakenBack => (Kind::TakenBack, "", ""),
        Progress::NeedsAttention { detail } => (Kind::NeedsAttention, "", detail.as_str()),
    };
    proto::HostProgress {
        host: host.0,
        generation: Some(generation),
        kind: kind.into(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
    }
}
