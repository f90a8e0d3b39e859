//! Messages between agents and the controller, from domain values to bytes and back.

use criterion::{BatchSize, Criterion};
use patchwave_agent::packages::{self, PackageSettings};
use patchwave_common::domain::{FromAgent, Inventory, Manager, Timestamp, ToAgent};
use patchwave_proto::agent::{compressed, decode_from_agent, encode_from_agent, encode_to_agent};
use patchwave_proto::fleet::v1::AgentMessage;
use patchwave_tests::load::sample;
use prost::Message as _;

pub fn bench(criterion: &mut Criterion) {
    let (before, after) = (sample::inventory(None), sample::inventory(Some("1")));
    let mut messages = vec![
        ("heartbeat", FromAgent::Heartbeat { clock: Timestamp(1_795_000_000_000), nonce: 0 }),
        ("hello", FromAgent::Hello(Box::new(sample::hello()))),
        ("a changed inventory", FromAgent::Inventory(after.delta_from(Some(&before)))),
        ("a whole inventory", FromAgent::Inventory(after.delta_from(None))),
    ];
    if let Some(real) = this_machine() {
        messages.push(("all packages of this machine", FromAgent::Inventory(real.delta_from(None))));
    }
    let mut group = criterion.benchmark_group("messages");
    for (name, message) in messages {
        let bytes = encode_from_agent(&message).encode_to_vec();
        let on_the_wire = compressed(encode_from_agent(&message)).encoded_len();
        eprintln!("messages: {name}: {} bytes, {on_the_wire} on the wire", bytes.len());
        group.bench_function(format!("encode {name}"), |bencher| bencher.iter(|| encode_from_agent(&message).encode_to_vec()));
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter_batched(
                || bytes.as_slice(),
                |bytes| decode_from_agent(AgentMessage::decode(bytes).unwrap()).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("encode the answer to a heartbeat", |bencher| bencher.iter(|| encode_to_agent(&ToAgent::Ping(0)).encode_to_vec()));
    group.finish();
}

/// What dpkg has here, where there is one.
fn this_machine() -> Option<Inventory> {
    let folder = tempfile::tempdir().ok()?;
    let state_dir = folder.path().join("state");
    let settings = PackageSettings { root: None, state_dir, stage_limit_bytes: 1 << 30, keep_free_bytes: 0 };
    packages::open(Manager::Dpkg, &settings).ok()?.inventory().ok()
}
