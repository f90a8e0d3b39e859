//! Reading dpkg's database, against reading its lines and nothing more.

use std::fs;
use std::path::Path;

use criterion::{Criterion, Throughput};
use patchwave_agent::packages::{self, PackageSettings};
use patchwave_common::domain::Manager;

/// As many as a small server has.
const PACKAGES: usize = 860;

/// A database like a real one: 900 bytes a package, most of them in fields that nobody asks for.
pub fn database() -> String {
    let mut text = String::new();
    for number in 0..PACKAGES {
        let description: String = (0..8).map(|line| format!(" Line {line} of what package {number} is for, at some length.\n")).collect();
        let depends: String = (0..6).map(|other| format!("libexample{} (>= 2.{other}), ", number % 97 + other)).collect();
        let conffiles =
            if number % 6 == 0 { format!("Conffiles:\n /etc/example{number} 0123456789abcdef0123456789abcdef\n") } else { String::new() };
        text += &format!(
            "Package: libexample{number}\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: {number}\n\
             Maintainer: Somebody <somebody@example.org>\nArchitecture: amd64\nMulti-Arch: same\nSource: example{} ({number}.1-2)\n\
             Version: {number}.1-2+b1\nDepends: {depends}libc6\n{conffiles}Description: an example\n{description}Homepage: https://example.org/\n\n",
            number / 3
        );
    }
    text
}

/// What any reader of the file has to do: lines, split at their colon.
fn lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| name.len() + value.len()).sum()
}

pub fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for directory in ["var/lib/dpkg/updates", "var/lib/apt/lists/partial", "etc/apt"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let (text, status) = (database(), root.join("var/lib/dpkg/status"));
    fs::write(&status, &text).unwrap();
    let settings =
        PackageSettings { root: Some(root), state_dir: folder.path().join("state"), stage_limit_bytes: 1 << 30, keep_free_bytes: 0 };
    let mut group = criterion.benchmark_group("status");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("lines alone", |bencher| bencher.iter(|| lines(&status)));
    group.bench_function("inventory", |bencher| {
        // Opened anew each time: an open one knows that nothing has changed.
        bencher.iter(|| packages::open(Manager::Dpkg, &settings).unwrap().inventory().unwrap());
    });
    let open = packages::open(Manager::Dpkg, &settings).unwrap();
    open.inventory().unwrap();
    group.bench_function("inventory, unchanged", |bencher| bencher.iter(|| open.inventory().unwrap()));
    group.finish();
}
