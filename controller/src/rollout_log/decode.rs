//! Events from stored bytes.

use patchwave_common::domain::{Digest, Generation, HarmReason, NotStagedReason, OperatorName, RefusalReason, RolloutId, Timestamp};
use patchwave_proto::store::rollout::v1 as proto;
use prost::Message;
use proto::log_record::Event as Stored;

use super::{LogError, fields};
use crate::records::Actor;
use crate::rollout::{
    AbsenceCause, Event, HostIndex, Ordered, Outcome, PassReason, PauseReason, Progress, Recorded, SilenceCause, StopReason, WaitingReason,
    WaveIndex,
};

/// Decodes one event.
///
/// # Errors
/// Where the bytes are damaged, or a newer release wrote them.
pub fn decode(bytes: &[u8]) -> Result<Recorded, LogError> {
    let record = proto::LogRecord::decode(bytes).map_err(|error| LogError::damaged("event", &error))?;
    Ok(Recorded { at: Timestamp(record.at_ms), event: event(record.event.ok_or(LogError::Missing("event"))?)? })
}

fn event(stored: Stored) -> Result<Event, LogError> {
    Ok(match stored {
        Stored::Created(event) => Event::Created { by: Actor::parse(&event.by)?, plan: Digest::from_bytes(&event.plan_root)? },
        Stored::Approved(event) => Event::Approved { by: OperatorName::parse(&event.by)? },
        Stored::Started(event) => Event::Started { by: Actor::parse(&event.by)? },
        Stored::Paused(event) => {
            Event::Paused { by: Actor::parse(&event.by)?, reason: PauseReason::parse(&event.reason)?, detail: event.detail }
        }
        Stored::Resumed(event) => Event::Resumed { by: Actor::parse(&event.by)? },
        Stored::GateOverridden(event) => {
            Event::GateOverridden { by: Actor::parse(&event.by)?, wave: wave(event.wave)?, reason: event.reason }
        }
        Stored::Aborted(event) => Event::Aborted { by: Actor::parse(&event.by)?, reason: event.reason },
        Stored::Halted(event) => Event::Halted { revision: event.revision },
        Stored::HaltLifted(event) => Event::HaltLifted { revision: event.revision },
        Stored::HandedOver(event) => Event::HandedOver { to: RolloutId::parse(&event.to)? },
        Stored::StageRequested(event) => Event::StageRequested { hosts: hosts(event.hosts) },
        Stored::HostStaged(event) => Event::HostStaged { host: HostIndex(event.host), way_back: event.way_back },
        Stored::HostNotStaged(event) => {
            Event::HostNotStaged { host: HostIndex(event.host), reason: NotStagedReason::parse(&event.reason)?, detail: event.detail }
        }
        Stored::WaveStarted(event) => Event::WaveStarted { wave: wave(event.wave)? },
        Stored::Released(event) => Event::Released { hosts: orders(event.orders)? },
        Stored::Withdrawn(event) => Event::Withdrawn { hosts: hosts(event.hosts) },
        Stored::HostProgress(event) => progress(event)?,
        Stored::HostSilent(event) => Event::HostSilent { hosts: hosts(event.hosts), cause: SilenceCause::parse(&event.cause)? },
        Stored::HostOffline(event) => Event::HostOffline { hosts: hosts(event.hosts), cause: AbsenceCause::parse(&event.cause)? },
        Stored::HostReturned(event) => Event::HostReturned { hosts: hosts(event.hosts) },
        Stored::ReportedHarm(event) => {
            Event::OperatorReportedHarm { host: HostIndex(event.host), by: OperatorName::parse(&event.by)?, reason: event.reason }
        }
        Stored::TakeBackOrdered(event) => Event::TakeBackOrdered { hosts: orders(event.orders)? },
        Stored::HostConcluded(event) => Event::HostConcluded { hosts: hosts(event.hosts) },
        Stored::HostRetired(event) => Event::HostRetired { hosts: hosts(event.hosts) },
        Stored::WavePassed(event) => Event::WavePassed { wave: wave(event.wave)?, because: PassReason::parse(&event.because)? },
        Stored::WaveTimedOut(event) => Event::WaveTimedOut { wave: wave(event.wave)?, waiting: WaitingReason::parse(&event.because)? },
        Stored::Stopped(event) => {
            Event::Stopped { reason: event.wave.map_or(Ok(StopReason::RolloutLimit), |number| wave(number).map(StopReason::WaveLimit))? }
        }
        Stored::Quarantined(event) => Event::Quarantined { keys: event.keys.iter().map(fields::decode_key).collect::<Result<_, _>>()? },
        Stored::Completed(outcome) => Event::Completed { outcome: Outcome::parse(&outcome)? },
    })
}

fn wave(number: u32) -> Result<WaveIndex, LogError> {
    u16::try_from(number).map(WaveIndex).map_err(|_| LogError::Missing("wave"))
}

fn hosts(numbers: Vec<u32>) -> Vec<HostIndex> {
    numbers.into_iter().map(HostIndex).collect()
}

fn generation(generation: Option<&proto::Generation>) -> Result<Generation, LogError> {
    generation.map(fields::decode_generation).ok_or(LogError::Missing("generation"))
}

fn orders(orders: Vec<proto::Order>) -> Result<Vec<Ordered>, LogError> {
    let decode = |order: proto::Order| Ok(Ordered { host: HostIndex(order.host), generation: generation(order.generation.as_ref())? });
    orders.into_iter().map(decode).collect()
}

fn progress(event: proto::HostProgress) -> Result<Event, LogError> {
    use proto::ProgressKind as Kind;
    let progress = match event.kind() {
        Kind::Unspecified => return Err(LogError::Missing("progress")),
        Kind::Accepted => Progress::Accepted,
        Kind::Refused => Progress::Refused { reason: RefusalReason::parse(&event.reason)?, detail: event.detail },
        Kind::Applying => Progress::Applying,
        Kind::Begun => Progress::Begun,
        Kind::Verifying => Progress::Verifying,
        Kind::Healthy => Progress::Healthy,
        Kind::Harmed => Progress::Harmed { reason: HarmReason::parse(&event.reason)?, detail: event.detail },
        Kind::TakingBack => Progress::TakingBack,
        Kind::TakenBack => Progress::TakenBack,
        Kind::NeedsAttention => Progress::NeedsAttention { detail: event.detail },
    };
    Ok(Event::HostProgress { host: HostIndex(event.host), generation: generation(event.generation.as_ref())?, progress })
}
