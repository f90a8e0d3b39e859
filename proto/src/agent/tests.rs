//! What is encoded reads back the same, and no bytes make the decoder panic.
#![allow(clippy::unwrap_used)]

use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::*;
use proptest::prelude::*;
use prost::Message;

use super::*;

fn targets() -> TargetSet {
    let target = PackageTarget {
        id: PackageId { name: PackageName::parse("openssl").unwrap(), architecture: Architecture::parse("amd64").unwrap() },
        from: PackageVersion::parse("3.0.15-1~deb12u1").unwrap(),
        to: PackageVersion::parse("3.0.17-1~deb12u2").unwrap(),
        source: PackageName::parse("openssl").unwrap(),
        origin: "Debian-Security/stable-security".into(),
        sha256: Some(Digest::of(b"deb")),
        size_bytes: 1234,
    };
    TargetSet::new(Manager::Dpkg, vec![target]).unwrap()
}

fn apply() -> ToAgent {
    let policy = parse_policy(
        "name = \"p\"\n[[wave]]\nname = \"a\"\n[[health.check]]\nname = \"web\"\nkind = \"http\"\nurl = \"http://127.0.0.1/\"\n\
         [[health.check]]\nname = \"port\"\nkind = \"tcp\"\naddress = \"127.0.0.1:80\"\n[[health.check]]\nname = \"unit\"\nkind = \"unit\"\n\
         unit = \"nginx.service\"\n[[health.check]]\nname = \"own\"\nkind = \"executable\"\n",
    )
    .unwrap();
    ToAgent::Directive(Box::new(Directive {
        generation: Generation { epoch: 1, counter: 7 },
        rollout: RolloutId::parse("r-1").unwrap(),
        requires: vec![Feature(Feature::APPLY_V1.into())],
        order: Order::Apply(ApplyOrder {
            targets: targets(),
            transaction: policy.transaction,
            health: policy.health,
            automatic_rollback: true,
        }),
    }))
}

#[test]
fn every_kind_of_order_reads_back_as_it_was_sent() {
    let generation = Generation { epoch: 2, counter: 9 };
    let stage = StageRequest { rollout: RolloutId::parse("r-1").unwrap(), plan_root: Digest::of(b"plan"), targets: targets() };
    for message in [
        apply(),
        ToAgent::Stage(Box::new(stage)),
        ToAgent::Lease(Lease { generation, valid_ms: 60_000, answers: 3 }),
        ToAgent::Withdraw(generation),
        ToAgent::Refresh,
        ToAgent::Stop { cause: StopCause::Cloned, detail: "two agents, one key".into() },
        ToAgent::InventoryAnswer { digest: None, need_full: true },
    ] {
        let wire = encode_to_agent(&message);
        let bytes = wire.encode_to_vec();
        let back = decode_to_agent(wire::ControllerMessage::decode(bytes.as_slice()).unwrap()).unwrap();
        assert_eq!(back, message);
    }
}

#[test]
fn every_kind_of_progress_reads_back_as_it_was_sent() {
    let generation = Generation { epoch: 2, counter: 9 };
    let mut all = vec![
        DirectiveProgress::Accepted,
        DirectiveProgress::Ready,
        DirectiveProgress::Applying,
        DirectiveProgress::Verifying,
        DirectiveProgress::Healthy,
        DirectiveProgress::TakingBack,
        DirectiveProgress::TakenBack,
        DirectiveProgress::NeedsAttention { detail: "look".into() },
    ];
    all.extend(RefusalReason::ALL.iter().map(|&reason| DirectiveProgress::Refused { reason, detail: "d".into() }));
    all.extend(HarmReason::ALL.iter().map(|&reason| DirectiveProgress::Harmed { reason, detail: "d".into() }));
    for progress in all {
        let message = FromAgent::Progress { generation, progress, question: 3 };
        assert_eq!(decode_from_agent(encode_from_agent(&message)).unwrap(), message);
    }
}

#[test]
fn text_from_an_agent_cannot_forge_a_line_or_move_the_cursor() {
    let facts = HostFacts { hostname: "a\u{1b}[2Jb\nc".into(), ..HostFacts::default() };
    let decoded = decode_facts(encode_facts(&facts));
    assert!(!decoded.hostname.chars().any(char::is_control), "{:?}", decoded.hostname);
}

#[test]
fn an_option_cannot_travel_as_a_package_name() {
    let mut wire = encode_to_agent(&apply());
    if let Some(wire::controller_message::Message::Directive(directive)) = &mut wire.message
        && let Some(wire::directive::Order::Apply(order)) = &mut directive.order
        && let Some(targets) = &mut order.targets
    {
        targets.targets[0].name = "--allow-unauthenticated".into();
    }
    let error = decode_to_agent(wire).unwrap_err().to_string();
    assert!(error.contains("package name"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(message) = wire::AgentMessage::decode(bytes.as_slice()) {
            let _ = decode_from_agent(message);
        }
        if let Ok(message) = wire::ControllerMessage::decode(bytes.as_slice()) {
            let _ = decode_to_agent(message);
        }
    }
}
