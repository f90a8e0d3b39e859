//! What the controller says to an agent: the agent trusts it no more than it must.
//!
//! Holds: every string that is let in is clean; what was let in is sent and read again as the same value; no name can be taken for an option
//! or a path; an order is never for no package.

use std::time::Duration;

use patchwave_common::domain::*;
use patchwave_proto::agent::{decode_to_agent, encode_to_agent};
use patchwave_proto::fleet::v1::ControllerMessage;
use prost::Message as _;

use super::samples;
use crate::clean::assert_clean;

/// See the module.
pub fn run(data: &[u8]) {
    let Ok(message) = ControllerMessage::decode(data) else { return };
    let Ok(decoded) = decode_to_agent(message).inspect_err(assert_clean) else { return };
    assert_clean(&decoded);
    match &decoded {
        ToAgent::Stage(request) => check_targets(&request.targets),
        ToAgent::Directive(directive) => {
            if let Order::Apply(order) = &directive.order {
                check_targets(&order.targets);
            }
            for check in directive_checks(&directive.order) {
                assert!(!check.name.as_str().contains('/') && !check.name.as_str().starts_with(['-', '.']), "{}", check.name);
            }
        }
        _ => {}
    }
    let bytes = encode_to_agent(&decoded).encode_to_vec();
    assert_eq!(decode_to_agent(ControllerMessage::decode(bytes.as_slice()).unwrap()).unwrap(), decoded);
}

fn directive_checks(order: &Order) -> &[HealthCheck] {
    match order {
        Order::Apply(order) => &order.health.checks,
        Order::TakeBack(order) => &order.health.checks,
    }
}

fn check_targets(set: &TargetSet) {
    assert!(!set.targets.is_empty());
    assert!(set.targets.is_sorted_by(|left, right| left.id < right.id));
    for target in &set.targets {
        for word in
            [target.id.name.as_str(), target.id.architecture.as_str(), target.to.as_str(), target.from.as_str(), target.source.as_str()]
        {
            assert!(!word.is_empty() && !word.starts_with(['-', '.', '/']) && !word.contains(['/', ' ', '=', '|']), "{word:?}");
        }
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let generation = samples::generation(9);
    let back = Directive {
        order: Order::TakeBack(TakeBackOrder { of: samples::generation(3), health: samples::policy().health }),
        ..samples::apply(9)
    };
    let stage = StageRequest { rollout: samples::rollout(), plan_root: Digest::of(b"plan"), targets: samples::targets() };
    let mut messages = vec![
        ToAgent::Welcome {
            clock: Timestamp(7),
            heartbeat: Duration::from_secs(30),
            host: HostId::parse("h-7k2m").unwrap(),
            mode: HostMode::Managed,
            reads_compressed: true,
        },
        ToAgent::Ping(7),
        ToAgent::InventoryAnswer { digest: Some(Digest::of(b"i")), need_full: false },
        ToAgent::CandidatesAnswer { digest: None, need_full: true },
        ToAgent::Stage(Box::new(stage)),
        ToAgent::Directive(Box::new(samples::apply(9))),
        ToAgent::Directive(Box::new(back)),
        ToAgent::Lease(Lease { generation, valid_ms: 60_000, answers: 2 }),
        ToAgent::Withdraw(generation),
        ToAgent::Conclude { generation, keep_originals: Duration::from_secs(86_400) },
        ToAgent::Quarantine(vec![samples::quarantine_key()]),
        ToAgent::Refresh,
    ];
    messages.extend(
        [StopCause::Retired, StopCause::Revoked, StopCause::Cloned, StopCause::Protocol]
            .map(|cause| ToAgent::Stop { cause, detail: samples::HOSTILE.into() }),
    );
    messages.iter().map(|message| encode_to_agent(message).encode_to_vec()).collect()
}
