//! What an agent says on its stream: protobuf, then the domain's checks.
//!
//! Holds: every string that is let in is clean; what was let in is sent and read again as the same value; an inventory or its change never
//! breaks the arithmetic of deltas.

use patchwave_common::domain::*;
use patchwave_proto::agent::{compressed, decode_from_agent, encode_from_agent};
use patchwave_proto::fleet::v1::AgentMessage;
use prost::Message as _;

use super::samples;
use crate::clean::assert_clean;

/// See the module.
pub fn run(data: &[u8]) {
    let Ok(message) = AgentMessage::decode(data) else { return };
    let Ok(decoded) = decode_from_agent(message).inspect_err(assert_clean) else { return };
    assert_clean(&decoded);
    let bytes = encode_from_agent(&decoded).encode_to_vec();
    let again = decode_from_agent(AgentMessage::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(again, decoded);
    if let FromAgent::Inventory(delta) = decoded {
        let base = samples::inventory();
        for base in [None, Some(&base)] {
            if let Ok(inventory) = Inventory::apply(base, delta.clone()) {
                assert_eq!(inventory.digest(), delta.digest);
                assert_eq!(Inventory::apply(base, inventory.delta_from(base)).as_ref(), Ok(&inventory));
            }
        }
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let inventory = samples::inventory();
    let smaller = Inventory::new(Manager::Dpkg, inventory.iter().skip(1).cloned());
    let hello = Hello {
        instance: InstanceId::parse("i-1").unwrap(),
        agent_version: "0.1.0".into(),
        features: Feature::ALL.map(|feature| Feature(feature.into())).to_vec(),
        inventory: Some(inventory.digest()),
        candidates: None,
        facts: samples::facts(),
        clock: Timestamp(1_700_000_000_000),
        directive: Some(DirectiveHistory {
            generation: samples::generation(3),
            rollout: samples::rollout(),
            progress: samples::progress(),
        }),
        newest: Some(samples::generation(3)),
    };
    let hostile = HostFacts { hostname: samples::HOSTILE.into(), addresses: vec![samples::HOSTILE.into()], ..HostFacts::default() };
    let mut messages = vec![
        FromAgent::Hello(Box::new(hello)),
        FromAgent::Heartbeat { clock: Timestamp(7), nonce: 9 },
        FromAgent::Inventory(inventory.delta_from(None)),
        FromAgent::Inventory(inventory.delta_from(Some(&smaller))),
        FromAgent::Inventory(smaller.delta_from(Some(&inventory))),
        FromAgent::Candidates(samples::candidates()),
        FromAgent::Facts(Box::new(hostile)),
        FromAgent::Stage { rollout: samples::rollout(), result: StageResult::Staged { bytes: 7, way_back: true } },
    ];
    messages.extend(NotStagedReason::ALL.iter().map(|&reason| {
        let result = StageResult::NotStaged { reason, detail: samples::HOSTILE.into() };
        FromAgent::Stage { rollout: samples::rollout(), result }
    }));
    messages.extend(samples::progress().into_iter().map(|progress| FromAgent::Progress {
        generation: samples::generation(3),
        progress,
        question: 2,
    }));
    let plain = messages.iter().map(encode_from_agent);
    plain.flat_map(|message| [message.clone(), compressed(message)]).map(|message| message.encode_to_vec()).collect()
}
