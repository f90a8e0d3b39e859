//! Messages between agents and the controller, from domain values to bytes and back.

use criterion::{BatchSize, Criterion};
use patchwave_common::domain::{FromAgent, Timestamp, ToAgent};
use patchwave_proto::agent::{decode_from_agent, encode_from_agent, encode_to_agent};
use patchwave_proto::fleet::v1::AgentMessage;
use patchwave_tests::load::sample;
use prost::Message as _;

pub fn bench(criterion: &mut Criterion) {
    let (before, after) = (sample::inventory(None), sample::inventory(Some("1")));
    let messages = [
        ("heartbeat", FromAgent::Heartbeat { clock: Timestamp(1_795_000_000_000), nonce: 0 }),
        ("hello", FromAgent::Hello(Box::new(sample::hello()))),
        ("a changed inventory", FromAgent::Inventory(after.delta_from(Some(&before)))),
        ("a whole inventory", FromAgent::Inventory(after.delta_from(None))),
    ];
    let mut group = criterion.benchmark_group("messages");
    for (name, message) in messages {
        let bytes = encode_from_agent(&message).encode_to_vec();
        eprintln!("messages: {name}: {} bytes", bytes.len());
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
