//! Whole messages, both directions.

use std::time::Duration;

use patchwave_common::domain::{
    DirectiveHistory, FromAgent, Generation, Hello, HostId, HostMode, InstanceId, Lease, RolloutId, StopCause, Timestamp, ToAgent,
    clean_text,
};

use super::directive::{
    decode_directive, decode_features, decode_progress, decode_stage, decode_stage_report, encode_directive, encode_progress, encode_stage,
    encode_stage_report,
};
use super::facts::{decode_facts, encode_facts};
use super::packages::{
    decode_candidates, decode_digest, decode_inventory, decode_quarantine, encode_candidates, encode_inventory, encode_quarantine,
};
use super::{
    MAX_PROGRESS, MAX_QUARANTINE, MAX_SMALL_LIST, WireError, bounded, decode_generation, detail, encode_generation, millis, value,
};
use crate::fleet::v1 as wire;
use wire::{agent_message, controller_message};

/// An agent's message, for sending.
#[must_use]
pub fn encode_from_agent(message: &FromAgent) -> wire::AgentMessage {
    use agent_message::Message;
    let message = match message {
        FromAgent::Hello(hello) => Message::Hello(encode_hello(hello)),
        FromAgent::Heartbeat { clock, nonce } => Message::Heartbeat(wire::Heartbeat { clock_ms: clock.0, nonce: *nonce }),
        FromAgent::Inventory(delta) => Message::Inventory(encode_inventory(delta)),
        FromAgent::Candidates(set) => Message::Candidates(encode_candidates(set)),
        FromAgent::Facts(facts) => Message::Facts(encode_facts(facts)),
        FromAgent::Stage { rollout, result } => Message::Stage(encode_stage_report(rollout, result)),
        FromAgent::Progress { generation, progress, question } => {
            Message::Progress(wire::Progress { question: *question, ..encode_progress(*generation, progress) })
        }
    };
    wire::AgentMessage { message: Some(message) }
}

/// An agent's message, checked.
pub fn decode_from_agent(message: wire::AgentMessage) -> Result<FromAgent, WireError> {
    use agent_message::Message;
    let message = match message.message.ok_or(WireError::Unknown("message"))? {
        Message::Compressed(bytes) => super::compressed::expanded(&bytes)?,
        message => message,
    };
    Ok(match message {
        // What was compressed is expanded by now.
        Message::Compressed(_) => return Err(WireError::Unknown("compressed message")),
        Message::Hello(hello) => FromAgent::Hello(Box::new(decode_hello(hello)?)),
        Message::Heartbeat(beat) => FromAgent::Heartbeat { clock: Timestamp(beat.clock_ms), nonce: beat.nonce },
        Message::Inventory(delta) => FromAgent::Inventory(decode_inventory(delta)?),
        Message::Candidates(set) => FromAgent::Candidates(decode_candidates(set)?),
        Message::Facts(facts) => FromAgent::Facts(Box::new(decode_facts(facts))),
        Message::Stage(report) => {
            let (rollout, result) = decode_stage_report(report)?;
            FromAgent::Stage { rollout, result }
        }
        Message::Progress(progress) => {
            let (generation, news) = (decode_generation("generation", progress.generation)?, decode_progress(&progress)?);
            FromAgent::Progress { generation, progress: news, question: progress.question }
        }
    })
}

fn encode_hello(hello: &Hello) -> wire::Hello {
    let digest = |digest: Option<patchwave_common::domain::Digest>| digest.map_or_else(Vec::new, |digest| digest.0.to_vec());
    wire::Hello {
        instance_id: hello.instance.to_string(),
        agent_version: hello.agent_version.clone(),
        features: hello.features.iter().map(|feature| feature.0.clone()).collect(),
        inventory_digest: digest(hello.inventory),
        candidates_digest: digest(hello.candidates),
        facts: Some(encode_facts(&hello.facts)),
        clock_ms: hello.clock.0,
        directive: hello.directive.as_ref().map(|history| wire::DirectiveHistory {
            generation: Some(encode_generation(history.generation)),
            rollout_id: history.rollout.to_string(),
            progress: history.progress.iter().map(|progress| encode_progress(history.generation, progress)).collect(),
        }),
        newest_generation: hello.newest.map(encode_generation),
    }
}

fn decode_hello(hello: wire::Hello) -> Result<Hello, WireError> {
    let directive = match hello.directive {
        None => None,
        Some(history) => Some(DirectiveHistory {
            generation: decode_generation("directive.generation", history.generation)?,
            rollout: value("directive.rollout", RolloutId::parse(&history.rollout_id))?,
            progress: bounded("directive.progress", history.progress, MAX_PROGRESS)?
                .iter()
                .map(decode_progress)
                .collect::<Result<_, _>>()?,
        }),
    };
    Ok(Hello {
        instance: value("instance", InstanceId::parse(&hello.instance_id))?,
        agent_version: clean_text(&hello.agent_version, 64),
        features: decode_features(&bounded("features", hello.features, MAX_SMALL_LIST)?),
        inventory: decode_digest("inventory digest", &hello.inventory_digest)?,
        candidates: decode_digest("candidates digest", &hello.candidates_digest)?,
        facts: decode_facts(hello.facts.unwrap_or_default()),
        clock: Timestamp(hello.clock_ms),
        directive,
        newest: hello.newest_generation.map(|newest| Generation { epoch: newest.epoch, counter: newest.counter }),
    })
}

/// The controller's message, for sending.
#[must_use]
pub fn encode_to_agent(message: &ToAgent) -> wire::ControllerMessage {
    use controller_message::Message;
    let digest = |digest: &Option<patchwave_common::domain::Digest>| digest.map_or_else(Vec::new, |digest| digest.0.to_vec());
    let message = match message {
        ToAgent::Welcome { clock, heartbeat, host, mode, reads_compressed } => Message::Welcome(wire::Welcome {
            clock_ms: clock.0,
            heartbeat_secs: u32::try_from(heartbeat.as_secs()).unwrap_or(u32::MAX),
            host_id: host.to_string(),
            mode: mode.as_str().to_owned(),
            reads_compressed: *reads_compressed,
        }),
        ToAgent::Ping(nonce) => Message::Ping(wire::Ping { nonce: *nonce }),
        ToAgent::InventoryAnswer { digest: have, need_full } => {
            Message::Inventory(wire::InventoryAnswer { digest: digest(have), need_full: *need_full })
        }
        ToAgent::CandidatesAnswer { digest: have, need_full } => {
            Message::Candidates(wire::CandidatesAnswer { digest: digest(have), need_full: *need_full })
        }
        ToAgent::Stage(request) => Message::Stage(encode_stage(request)),
        ToAgent::Directive(directive) => Message::Directive(encode_directive(directive)),
        ToAgent::Lease(lease) => Message::Lease(wire::LeaseGrant {
            generation: Some(encode_generation(lease.generation)),
            valid_ms: lease.valid_ms,
            answers: lease.answers,
        }),
        ToAgent::Withdraw(generation) => Message::Withdraw(wire::Withdraw { generation: Some(encode_generation(*generation)) }),
        ToAgent::Conclude { generation, keep_originals } => Message::Conclude(wire::Conclude {
            generation: Some(encode_generation(*generation)),
            keep_originals_ms: millis(*keep_originals),
        }),
        ToAgent::Quarantine(keys) => Message::Quarantine(wire::Quarantine { keys: keys.iter().map(encode_quarantine).collect() }),
        ToAgent::Refresh => Message::Refresh(wire::Refresh {}),
        ToAgent::Stop { cause, detail } => Message::Stop(wire::Stop { cause: cause.as_str().to_owned(), detail: detail.clone() }),
    };
    wire::ControllerMessage { message: Some(message) }
}

/// The controller's message, checked.
pub fn decode_to_agent(message: wire::ControllerMessage) -> Result<ToAgent, WireError> {
    use controller_message::Message;
    Ok(match message.message.ok_or(WireError::Unknown("message"))? {
        Message::Welcome(welcome) => ToAgent::Welcome {
            clock: Timestamp(welcome.clock_ms),
            heartbeat: Duration::from_secs(u64::from(welcome.heartbeat_secs.max(1))),
            host: value("host", HostId::parse(&welcome.host_id))?,
            mode: value("mode", HostMode::parse(&welcome.mode))?,
            reads_compressed: welcome.reads_compressed,
        },
        Message::Ping(ping) => ToAgent::Ping(ping.nonce),
        Message::Inventory(answer) => {
            ToAgent::InventoryAnswer { digest: decode_digest("digest", &answer.digest)?, need_full: answer.need_full }
        }
        Message::Candidates(answer) => {
            ToAgent::CandidatesAnswer { digest: decode_digest("digest", &answer.digest)?, need_full: answer.need_full }
        }
        Message::Stage(request) => ToAgent::Stage(Box::new(decode_stage(request)?)),
        Message::Directive(directive) => ToAgent::Directive(Box::new(decode_directive(directive)?)),
        Message::Lease(lease) => ToAgent::Lease(Lease {
            generation: decode_generation("generation", lease.generation)?,
            valid_ms: lease.valid_ms,
            answers: lease.answers,
        }),
        Message::Withdraw(withdraw) => ToAgent::Withdraw(decode_generation("generation", withdraw.generation)?),
        Message::Conclude(conclude) => ToAgent::Conclude {
            generation: decode_generation("generation", conclude.generation)?,
            keep_originals: Duration::from_millis(conclude.keep_originals_ms),
        },
        Message::Quarantine(quarantine) => ToAgent::Quarantine(
            bounded("quarantine", quarantine.keys, MAX_QUARANTINE)?.iter().map(decode_quarantine).collect::<Result<_, _>>()?,
        ),
        Message::Refresh(_) => ToAgent::Refresh,
        Message::Stop(stop) => ToAgent::Stop { cause: decode_cause(&stop.cause)?, detail: detail(&stop.detail) },
    })
}

fn decode_cause(cause: &str) -> Result<StopCause, WireError> {
    [StopCause::Retired, StopCause::Revoked, StopCause::Cloned, StopCause::Protocol]
        .into_iter()
        .find(|known| known.as_str() == cause)
        .ok_or(WireError::Unknown("stop cause"))
}
