//! Verbs that need no controller, as the real program answers them.

use std::io::Write as _;
use std::path::PathBuf;
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
