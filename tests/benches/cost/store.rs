//! Check-ins on the default store: one alone, and a group as the writer thread makes it, each with one sync of the disk.

use std::sync::Arc;

use criterion::{Criterion, Throughput};
use patchwave::records::HostUpdate;
use patchwave::store::{self, Change, Store, Write};
use patchwave_common::domain::{HostId, InstanceId, Timestamp};
use patchwave_tests::load::sample;

/// Check-ins of one group: as many agents as report at about the same time.
const GROUP: u32 = 500;

fn check_in(host: &HostId, at: i64) -> Write {
    let (host, instance) = (host.clone(), InstanceId::parse("one").unwrap());
    Write::new(vec![Change::UpdateHost { host, update: HostUpdate::Seen { at: Timestamp(at), instance, clock_offset_ms: 0 } }])
}

pub fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = store::open("redb", &folder.path().join("store")).unwrap();
    let hosts = sample::hosts(GROUP);
    let ids: Vec<HostId> = hosts.iter().map(|host| host.id.clone()).collect();
    store.write(Write::new(hosts.into_iter().map(|host| Change::PutHost(Box::new(host))).collect())).unwrap();
    let mut at = 1_795_000_000_000;
    let mut group = criterion.benchmark_group("store");
    for (name, size) in [("one check-in", 1), ("a group of 500 check-ins", ids.len())] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 1;
                for done in store.write_many(ids.iter().take(size).map(|host| check_in(host, at)).collect()) {
                    done.unwrap();
                }
            });
        });
    }
    group.finish();
}
