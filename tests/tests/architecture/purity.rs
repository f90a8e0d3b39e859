//! Pure folders decide and do nothing: no I/O, no clock, no chance, no maps whose order is chance.

use crate::scan::{Source, is_within, paths, sources};
use crate::{assert_none, made_up};

/// Path prefixes of what is pure.
const PURE: [&str; 5] =
    ["common/src/domain/", "controller/src/rollout/", "controller/src/advisory/", "controller/src/finding/", "agent/src/patching/machine"];

/// What pure code may not name, and why.
const FORBIDDEN: [(&str, &str); 32] = [
    ("tokio", "I/O"),
    ("tokio_stream", "I/O"),
    ("tokio_util", "I/O"),
    ("futures", "I/O"),
    ("tonic", "I/O"),
    ("tower", "I/O"),
    ("hyper", "I/O"),
    ("hyper_util", "I/O"),
    ("axum", "I/O"),
    ("rustls", "I/O"),
    ("redb", "I/O"),
    ("sled", "I/O"),
    ("rustix", "I/O and the clock"),
    ("inotify", "I/O"),
    ("sysinfo", "I/O"),
    ("tempfile", "I/O"),
    ("tracing", "effects: the shell logs"),
    ("prometheus_client", "effects: the shell counts"),
    ("patchwave_common::runtime", "I/O and the clock"),
    ("patchwave_proto", "wire types"),
    ("std::fs", "I/O"),
    ("std::net", "I/O"),
    ("std::os", "I/O"),
    ("std::process", "I/O"),
    ("std::env", "I/O"),
    ("std::thread", "I/O"),
    ("std::io", "I/O"),
    ("std::time::SystemTime", "the clock"),
    ("std::time::Instant", "the clock"),
    ("rand", "chance"),
    ("std::collections::HashMap", "its order is chance"),
    ("std::collections::HashSet", "its order is chance"),
];

/// Plain values from modules that otherwise do I/O.
const VALUES: [&str; 4] = ["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr", "std::net::SocketAddr"];

/// Calls that read the clock or chance however they were imported.
const FORBIDDEN_ENDS: [&str; 7] =
    ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "RandomState::new", "HashMap::new", "HashSet::new"];

fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| PURE.iter().any(|pure| source.path.starts_with(pure))) {
        for (line, path) in paths(&source.shipped()) {
            if VALUES.iter().any(|value| is_within(&path, value)) {
                continue;
            }
            let forbidden = FORBIDDEN.iter().find(|(name, _)| is_within(&path, name)).map(|(_, why)| *why);
            let call = FORBIDDEN_ENDS.iter().any(|end| path == *end || path.ends_with(&format!("::{end}")));
            // The shell's half of the own crate, by its relative name.
            let own_shell = is_within(&path, "crate::runtime") || is_within(&path, "crate::store");
            if forbidden.is_some() || call || own_shell {
                let why = forbidden.unwrap_or(if call { "the clock or chance" } else { "the shell" });
                found.push(format!("{}:{line}: pure code names {path} ({why})", source.path));
            }
        }
    }
    found
}

#[test]
fn pure_folders_name_no_io_no_clock_and_no_chance() {
    let sources = sources();
    for folder in &PURE {
        assert!(sources.iter().any(|source| source.path.starts_with(folder)), "{folder} is gone: has it been renamed?");
    }
    assert_none(&violations(&sources));
}

#[test]
fn the_rule_notices_each_kind_of_impurity() {
    for line in [
        "use std::{fmt, fs};",
        "use tokio::sync::mpsc;",
        "fn f() { std::process::exit(1) }",
        "fn f() { let _ = Timestamp::now(); }",
        "use std::time::{Duration, Instant};",
        "use rand::Rng;",
        "use crate::runtime::clock::Clock;",
        "use std::collections::HashMap;",
    ] {
        assert_eq!(violations(&[made_up("common/src/domain/x.rs", line)]).len(), 1, "{line}");
        assert_eq!(violations(&[made_up("common/src/runtime/x.rs", line)]).len(), 0, "{line}");
    }
    let fine =
        "use std::collections::BTreeMap; use std::time::Duration; // std::fs\nfn brand::new() {} #[cfg(test)] mod t { use std::fs; }";
    assert_eq!(violations(&[made_up("agent/src/patching/machine/x.rs", fine)]), Vec::<String>::new());
}
