//! Hosts.

use patchwave_common::domain::{Digest, HostFacts, HostId, InstanceId, RebootRequired, Timestamp, TokenId};
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::host_state;

use super::{
    CodecError, Stored, actor, digest, labels_from_message, labels_to_message, mode_from_message, mode_to_message, required, timestamp,
};
use crate::records::{HostRecord, HostState, Serial};

impl Stored for HostRecord {
    type Message = v1::Host;
    const WHAT: &'static str = "host";

    fn to_message(&self) -> v1::Host {
        v1::Host {
            id: self.id.to_string(),
            revision: self.revision,
            mode: mode_to_message(self.mode),
            labels: labels_to_message(&self.labels),
            state: Some(state_to_message(&self.state)),
            enrolled_at_ms: self.enrolled_at.0,
            token: self.token.to_string(),
            certificate: self.certificate.to_string(),
            replaces: self.replaces.as_ref().map(ToString::to_string),
            facts: Some(facts_to_message(&self.facts)),
            last_seen_ms: self.last_seen.map(|at| at.0),
            instance: self.instance.as_ref().map(ToString::to_string),
            clock_offset_ms: self.clock_offset_ms,
            inventory: self.inventory.map(|digest| digest.0.to_vec()),
            candidates: self.candidates.map(|digest| digest.0.to_vec()),
        }
    }

    fn from_message(message: v1::Host) -> Result<Self, CodecError> {
        let optional_digest =
            |bytes: Option<Vec<u8>>| -> Result<Option<Digest>, CodecError> { bytes.map(|bytes| digest(&bytes)).transpose() };
        Ok(Self {
            id: HostId::parse(message.id)?,
            revision: message.revision,
            mode: mode_from_message(message.mode)?,
            labels: labels_from_message(message.labels)?,
            state: state_from_message(required(message.state, "host state")?)?,
            enrolled_at: Timestamp(message.enrolled_at_ms),
            token: TokenId::parse(message.token)?,
            certificate: Serial::parse(&message.certificate)?,
            replaces: message.replaces.map(HostId::parse).transpose()?,
            facts: facts_from_message(required(message.facts, "host facts")?),
            last_seen: timestamp(message.last_seen_ms),
            instance: message.instance.map(InstanceId::parse).transpose()?,
            clock_offset_ms: message.clock_offset_ms,
            inventory: optional_digest(message.inventory)?,
            candidates: optional_digest(message.candidates)?,
        })
    }
}

fn state_to_message(state: &HostState) -> v1::HostState {
    use host_state::State;
    let state = match state {
        HostState::Active => State::Active(host_state::Active {}),
        HostState::Retired { at, by } => State::Retired(host_state::Retired { at_ms: at.0, by: by.to_string() }),
        HostState::Cloned { at, detail } => State::Cloned(host_state::Cloned { at_ms: at.0, detail: detail.clone() }),
        HostState::Replaced { with, at, by } => {
            State::Replaced(host_state::Replaced { with: with.to_string(), at_ms: at.0, by: by.to_string() })
        }
    };
    v1::HostState { state: Some(state) }
}

fn state_from_message(message: v1::HostState) -> Result<HostState, CodecError> {
    use host_state::State;
    Ok(match required(message.state, "host state")? {
        State::Active(_) => HostState::Active,
        State::Retired(state) => HostState::Retired { at: Timestamp(state.at_ms), by: actor(&state.by)? },
        State::Cloned(state) => HostState::Cloned { at: Timestamp(state.at_ms), detail: state.detail },
        State::Replaced(state) => {
            HostState::Replaced { with: HostId::parse(state.with)?, at: Timestamp(state.at_ms), by: actor(&state.by)? }
        }
    })
}

fn facts_to_message(facts: &HostFacts) -> v1::HostFacts {
    let facts = facts.clone();
    v1::HostFacts {
        hostname: facts.hostname,
        os: facts.os,
        release: facts.release,
        codename: facts.codename,
        kernel: facts.kernel,
        architecture: facts.architecture,
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        addresses: facts.addresses,
        booted_at_secs: facts.booted_at_secs,
        boot_id: facts.boot_id,
        agent_version: facts.agent_version,
        reboot_required: facts.reboot.required,
        reboot_packages: facts.reboot.packages,
        other_hands: facts.other_hands,
        hold: facts.hold,
    }
}

fn facts_from_message(message: v1::HostFacts) -> HostFacts {
    HostFacts {
        hostname: message.hostname,
        os: message.os,
        release: message.release,
        codename: message.codename,
        kernel: message.kernel,
        architecture: message.architecture,
        cpus: message.cpus,
        memory_bytes: message.memory_bytes,
        addresses: message.addresses,
        booted_at_secs: message.booted_at_secs,
        boot_id: message.boot_id,
        agent_version: message.agent_version,
        reboot: RebootRequired { required: message.reboot_required, packages: message.reboot_packages },
        other_hands: message.other_hands,
        hold: message.hold,
    }
}
