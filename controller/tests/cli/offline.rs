//! Verbs that need no controller, as the real program answers them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::program::{finish, program, run};

/// Data that is not part of the project; a test that needs it says that it skips where it is missing.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: there is no ../shared/data/{name} beside the project");
        return None;
    }
    Some(path)
}

#[test]
fn two_versions_are_compared_without_a_controller() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        (&["version", "compare", "deb", "1.0~rc1-1", "1.0-1"][..], "<\n"),
        (&["version", "compare", "rpm", "0:1.0-1", "1.0-1"], "=\n"),
        (&["version", "compare", "pep440", "1.0", "1.0.dev1"], ">\n"),
        (
            &["version", "compare", "semver", "1.0.0", "1.0.1", "-o", "json"],
            "{\"ecosystem\":\"semver\",\"left\":\"1.0.0\",\"right\":\"1.0.1\",\"order\":\"<\"}\n",
        ),
    ] {
        let run = run(home.path(), arguments);
        assert_eq!((run.status, run.data.as_str(), run.talk.as_str()), (0, told, ""), "{arguments:?}");
    }
    let refused = run(home.path(), &["version", "compare", "semver", "1.0", "1.0.0"]);
    assert_eq!((refused.status, refused.data.as_str()), (2, ""));
    assert!(refused.talk.contains("\"1.0\" is not a version in the ecosystem semver"), "{}", refused.talk);
}

#[test]
fn lines_are_answered_one_by_one_until_one_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let compare = |input: &[u8]| {
        let mut child = program(home.path())
            .args(["version", "compare", "deb", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end before it has read all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(compare(b"1\t2\r\n2\t2\n3\t2"), (0, "<\n=\n>\n".into(), String::new()));
    for (input, told) in [
        (&b"1\t2\n1 2\n"[..], "line 2 of the standard input has no tab"),
        (b"1\t2\n\xff\t1\n", "line 2 of the standard input is not UTF-8"),
        (b"1\t2\nx:1\t1\n", "line 2: \"x:1\" is not a version in the ecosystem deb"),
    ] {
        let (status, data, talk) = compare(input);
        assert_eq!((status, data.as_str()), (2, "<\n"));
        assert!(talk.contains(told), "{talk}");
    }
    let (status, _, talk) = compare(&vec![b'1'; 1 << 20]);
    assert!(status == 2 && talk.contains("longer than 1024 bytes"), "{talk}");
}

#[test]
fn every_known_comparison_of_dpkg_is_answered_over_standard_input() {
    let Some(path) = shared_data("versions") else { return };
    let home = tempfile::tempdir().unwrap();
    let mut rows = 0;
    for file in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(name) = file.file_name().and_then(|name| name.to_str()).filter(|name| name.starts_with("deb")) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        let known: Vec<(&str, &str, &str)> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap())
            })
            .collect();
        let input: String = known.iter().map(|(left, _, right)| format!("{left}\t{right}\n")).collect();
        let file = home.path().join("input");
        std::fs::write(&file, input).unwrap();
        let answer = finish(program(home.path()).args(["version", "compare", "deb", "--stdin"]).stdin(std::fs::File::open(file).unwrap()));
        assert_eq!(answer.status, 0, "{name}: {}", answer.talk);
        assert_eq!(answer.data.lines().collect::<Vec<_>>(), known.iter().map(|(_, order, _)| *order).collect::<Vec<_>>(), "{name}");
        rows += known.len();
    }
    assert!(rows > 100, "{rows} rows");
}

/// Packages of a status file as (source, version), read by other means than the program's.
fn sources_of(status: &str) -> BTreeSet<(String, String)> {
    let field = |paragraph: &str, name: &str| {
        paragraph.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "))).map(str::to_owned)
    };
    let mut sources = BTreeSet::new();
    for paragraph in status.split("\n\n").filter(|paragraph| paragraph.contains("\nStatus: install ok installed")) {
        let (name, version) = (field(paragraph, "Package").unwrap(), field(paragraph, "Version").unwrap());
        let source = field(paragraph, "Source").unwrap_or(name);
        sources.insert(match source.split_once(" (") {
            Some((source, version)) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
            None => (source, version),
        });
    }
    sources
}

/// Whether dpkg itself says that one version is earlier than another.
fn dpkg_says_earlier(left: &str, right: &str) -> bool {
    std::process::Command::new("dpkg").args(["--compare-versions", left, "lt", right]).status().unwrap().success()
}

/// The holes of a host by the archive of records, with dpkg as the only judge of versions. The archive's records all say `introduced 0`
/// and at most one `fixed`, which is checked.
fn holes_by_dpkg(archive: &Path, sources: &BTreeSet<(String, String)>) -> BTreeSet<[String; 4]> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut holes = BTreeSet::new();
    for index in 0..archive.len() {
        let record: serde_json::Value = serde_json::from_reader(archive.by_index(index).unwrap()).unwrap();
        for affected in record["affected"].as_array().unwrap() {
            assert_eq!(affected["package"]["ecosystem"], "Debian:12");
            for (source, version) in sources.iter().filter(|(source, _)| affected["package"]["name"] == source.as_str()) {
                let events = affected["ranges"][0]["events"].as_array().unwrap();
                assert!(events[0]["introduced"] == "0" && events.len() <= 2 && affected["ranges"].as_array().unwrap().len() == 1);
                let fixed = events.get(1).map(|event| event["fixed"].as_str().unwrap());
                if fixed.is_none_or(|fixed| dpkg_says_earlier(version, fixed)) {
                    let id = record["id"].as_str().unwrap().to_owned();
                    holes.insert([id, source.clone(), version.clone(), fixed.unwrap_or_default().to_owned()]);
                }
            }
        }
    }
    holes
}

#[test]
fn the_holes_of_a_real_host_are_those_that_dpkg_itself_would_find() {
    let (Some(archive), Some(packages)) = (shared_data("feeds/osv-debian12-2026-11-23.zip"), shared_data("packages")) else { return };
    if !Path::new("/usr/bin/dpkg").exists() {
        eprintln!("SKIPPED: there is no dpkg here");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut hosts = 0;
    for status_file in std::fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().path()) {
        let name = status_file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("dpkg-status.") || !name.contains("bookworm") {
            continue;
        }
        hosts += 1;
        let status = std::fs::read_to_string(&status_file).unwrap();
        let holes = assert_as_dpkg(home.path(), &archive, &status);
        // The same host as it never was updated, with all that was ever closed since.
        let old: String = status
            .lines()
            .map(|line| match (line.split(' ').next(), line.split_once(" (")) {
                (Some("Version:"), _) => "Version: 0\n".to_owned(),
                (Some("Source:"), Some((source, _))) => format!("{source} (0)\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let holes_of_old = assert_as_dpkg(home.path(), &archive, &old);
        assert!(holes > 10 && holes_of_old > holes, "{name}: {holes} holes, {holes_of_old} where nothing was ever updated");
    }
    assert!(hosts > 0, "no status file of bookworm");
    // This machine is a host too, with far more packages.
    if std::fs::read_to_string("/etc/os-release").is_ok_and(|text| text.contains("VERSION_CODENAME=bookworm")) {
        assert_as_dpkg(home.path(), &archive, &std::fs::read_to_string("/var/lib/dpkg/status").unwrap());
    } else {
        eprintln!("SKIPPED: this machine is no bookworm, so its own packages were not tried");
    }
}

/// Matches a status file, and gives the number of holes that both found.
fn assert_as_dpkg(home: &Path, archive: &Path, status: &str) -> usize {
    let status_file = home.join("status");
    std::fs::write(&status_file, status).unwrap();
    let matching = ["advisory", "match", "--os", "debian:12", "-o", "json", "--osv"];
    let matched = finish(program(home).args(matching).arg(archive).arg("--status-file").arg(&status_file));
    assert_eq!((matched.status, matched.talk.as_str()), (0, ""));
    let told: Vec<serde_json::Value> = serde_json::from_str(&matched.data).unwrap();
    let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let told: BTreeSet<[String; 4]> =
        told.iter().map(|row| ["advisory", "package", "installed", "fixed"].map(|field| text(row, field))).collect();
    assert_eq!(told, holes_by_dpkg(archive, &sources_of(status)));
    told.len()
}

#[test]
fn a_release_of_which_no_advisory_speaks_is_unknown_and_not_clean() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::write(at("status"), "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n").unwrap();
    std::fs::write(
        at("one.json"),
        r#"{"id":"CVE-2026-1","affected":[{"package":{"ecosystem":"Debian:12","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}"#,
    )
    .unwrap();
    let matched = |os: &str, osv: &str, status: &str| {
        finish(program(home.path()).current_dir(home.path()).args(["advisory", "match", "--os", os, "--osv", osv, "--status-file", status]))
    };
    let known = matched("debian:12", "one.json", "status");
    assert_eq!(known.status, 0, "{}", known.talk);
    assert!(known.data.contains("CVE-2026-1") && known.data.contains("none yet"), "{}", known.data);
    let unknown = matched("debian:13", "one.json", "status");
    assert_eq!((unknown.status, unknown.data.as_str()), (1, ""));
    assert!(unknown.talk.contains("speaks of Debian:13") && unknown.talk.contains("unknown"), "{}", unknown.talk);
    for (os, osv, status, exit, told) in [
        ("debian", "one.json", "status", 2, "debian:12"),
        ("debian:12", "none.json", "status", 1, "none.json"),
        ("debian:12", "one.json", "one.json", 1, "it tells of no package"),
        ("debian:12", "status", "status", 1, "could not be read"),
    ] {
        let refused = matched(os, osv, status);
        assert_eq!((refused.status, refused.data.as_str()), (exit, ""), "{os} {osv} {status}");
        assert!(refused.talk.contains(told), "{}", refused.talk);
    }
}

#[test]
fn holes_are_ranked_by_what_feeds_and_labels_tell_and_the_ruling_says_why() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("status", "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n");
    let record = |id: u32, urgency: &str| {
        format!(
            r#"{{"id":"DEBIAN-CVE-2026-{id}","upstream":["CVE-2026-{id}"],"affected":[{{"package":{{"ecosystem":"Debian:12","name":"a"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"2"}}]}}],"ecosystem_specific":{{"urgency":"{urgency}"}}}}]}}"#
        )
    };
    std::fs::create_dir(home.path().join("osv")).unwrap();
    write("osv/1.json", &record(1, "low"));
    write("osv/2.json", &record(2, "medium"));
    write("kev.json", r#"{"vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-01-01"}]}"#);
    write("ssvc.tsv", "cve\texploitation\tautomatable\ttechnical_impact\nCVE-2026-1\tnone\tno\tpartial\n");
    let matched = |more: &[&str]| {
        let fixed = ["advisory", "match", "--os", "debian:12", "--osv", "osv", "--status-file", "status", "-o", "json"];
        let run = finish(program(home.path()).current_dir(home.path()).args(fixed).args(more));
        assert_eq!((run.status, run.talk.as_str()), (0, ""), "{more:?}");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&run.data).unwrap();
        rows.iter()
            .map(|row| (row["aliases"][0].as_str().unwrap().to_owned(), row["within_secs"].as_u64(), row["why"].to_string()))
            .collect::<Vec<_>>()
    };
    let spans = |more: &[&str]| matched(more).into_iter().map(|(id, within, _)| (id, within.map(|secs| secs / 3_600))).collect::<Vec<_>>();
    let (first, second) = ("CVE-2026-1".to_owned(), "CVE-2026-2".to_owned());
    assert_eq!(spans(&[]), [(second.clone(), Some(168)), (first.clone(), Some(336))]);
    assert_eq!(spans(&["--kev", "kev.json"]), [(first.clone(), Some(24)), (second.clone(), Some(168))]);
    assert_eq!(spans(&["--label", "exposure=internet"]), [(second.clone(), Some(48)), (first.clone(), Some(168))]);
    let ruled = matched(&["--scheme", "bod-26-04", "--kev", "kev.json", "--ssvc", "ssvc.tsv", "--label", "exposure=lan"]);
    assert_eq!(ruled[0].1.map(|secs| secs / 86_400), Some(14));
    assert!(ruled[0].2.contains("known-exploited is yes; publicly-exposed is no; automatable is no"), "{}", ruled[0].2);
    assert!(ruled[1].2.contains("automatable is unknown, taken as yes"), "{}", ruled[1].2);
    let refused = |more: &[&str]| {
        finish(
            program(home.path())
                .current_dir(home.path())
                .args(["advisory", "match", "--os", "debian:12", "--osv", "osv", "--status-file", "status"])
                .args(more),
        )
    };
    for (more, exit, told) in [
        (&["--scheme", "none"][..], 2, "severity, bod-26-04"),
        (&["--scheme", "missing.toml"], 1, "missing.toml"),
        (&["--kev", "ssvc.tsv"], 1, "this is not CISA's catalogue"),
        (&["--epss", "kev.json"], 1, "not cve,epss,percentile"),
        (&["--label", "exposure"], 2, "key=value"),
    ] {
        let refused = refused(more);
        assert_eq!((refused.status, refused.data.as_str()), (exit, ""), "{more:?}");
        assert!(refused.talk.contains(told), "{more:?}: {}", refused.talk);
    }
}
