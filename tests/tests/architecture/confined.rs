//! Names that may appear only in some places: wire and stored formats, and crates that are no longer maintained.

use crate::scan::{Source, is_within, paths, sources};
use crate::{assert_none, made_up};

/// Generated types and the path prefixes that may name them. Everything else works with domain types, which hold what was proved.
const GENERATED: [(&str, &[&str]); 3] = [
    // The two ends of the agents' stream and of enrolment.
    ("patchwave_proto::fleet", &["proto/", "tests/", "agent/src/session/", "agent/src/identity/", "controller/src/services/"]),
    // Views to be shown: made by the services, printed by the command line.
    ("patchwave_proto::operator", &["proto/", "tests/", "deploy/", "controller/src/services/", "controller/src/cli/"]),
    // Stored formats end where records begin.
    ("patchwave_proto::store", &["proto/", "controller/src/store/", "controller/src/rollout_log/", "controller/src/finding_log/"]),
];

/// Unmaintained crates, each behind one file, so that replacing it touches nothing else.
const ONE_FILE_EACH: [&str; 2] = ["backoff", "sled"];

fn generated_types_elsewhere(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (line, path) in paths(&source.shipped()) {
            for (generated, places) in GENERATED {
                if is_within(&path, generated) && !places.iter().any(|place| source.path.starts_with(place)) {
                    found.push(format!("{}:{line}: {path} is a wire or stored type; only {} may name it", source.path, places.join(", ")));
                }
            }
        }
    }
    found
}

/// The files that name `crate_name` as a crate. A module of the same name makes `name::…` ambiguous in the file that declares it.
fn files_naming<'a>(crate_name: &str, sources: &'a [Source]) -> Vec<&'a str> {
    let inside = format!("{crate_name}::");
    let declared = [format!("mod {crate_name};"), format!("mod {crate_name} {{")];
    let names = |source: &Source| {
        let own_module = declared.iter().any(|declaration| source.code.contains(declaration));
        !own_module && paths(&source.code).iter().any(|(_, path)| path.starts_with(&inside))
    };
    sources.iter().filter(|source| names(source)).map(|source| source.path.as_str()).collect()
}

#[test]
fn wire_and_stored_types_stay_at_the_edge() {
    assert_none(&generated_types_elsewhere(&sources()));
}

#[test]
fn unmaintained_crates_stand_behind_one_file_each() {
    let sources = sources();
    for crate_name in ONE_FILE_EACH {
        let files = files_naming(crate_name, &sources);
        assert_eq!(files.len(), 1, "{crate_name} is to be named in exactly one file: {files:?}");
    }
}

#[test]
fn the_rules_notice_a_name_in_the_wrong_place() {
    let line = "use patchwave_proto::{agent, store::v1};";
    assert_eq!(generated_types_elsewhere(&[made_up("controller/src/rollout/x.rs", line)]).len(), 1);
    assert_eq!(generated_types_elsewhere(&[made_up("controller/src/store/codec/x.rs", line)]).len(), 0);
    let sources = [
        made_up("a.rs", "use backoff::ExponentialBackoff;"),
        made_up("b.rs", "fn f() { crate::backoff::x(); } // backoff::y"),
        made_up("c.rs", "fn f() { backoff::retry(); }"),
        made_up("d.rs", "mod backoff; use backoff::Own;"),
    ];
    assert_eq!(files_naming("backoff", &sources), ["a.rs", "c.rs"]);
}
