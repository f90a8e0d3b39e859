#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Parsed {
    parse(text.as_bytes()).unwrap()
}

const WHOLE: &str = r#"{"schema_version":"1.7.0","id":"DSA-1-1","modified":"2026-01-02T03:04:05.6Z","published":"2026-01-01T00:00:00Z",
    "aliases":null,"upstream":["CVE-2026-1","CVE-2026-1","not a name"],"summary":"a\u001b[2J hole\nmore",
    "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},{"type":"Ubuntu","score":"low"}],
    "affected":[
      {"package":{"ecosystem":"Debian:12","name":"openssl","purl":"x"},
       "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.11-1+deb12u2"}]},{"type":"GIT","events":[{"introduced":"0"}]}],
       "versions":["3.0.11-1","1.0","3.0.99-1"],"ecosystem_specific":{"urgency":"high"}},
      {"package":{"ecosystem":"Go","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]},
      {"package":{"ecosystem":"npm","name":"@a/b"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"limit":"*"}]}]}
    ],"new_field":{"x":[1,2]}}"#;

#[test]
fn a_record_is_read_with_its_names_scores_and_ranges() {
    let Parsed { advisory, flaws } = read(WHOLE);
    assert_eq!(flaws, Vec::<String>::new());
    assert_eq!((advisory.id.as_str(), advisory.summary.as_str()), ("DSA-1-1", "a [2J hole"));
    assert_eq!(advisory.cve().map(AdvisoryId::as_str), Some("CVE-2026-1"));
    assert_eq!((advisory.severity(), advisory.rating), (Some(Severity::Critical), Some(Severity::High)));
    assert_eq!(advisory.modified, Some(Timestamp(1_767_323_045_600)));
    let spaces: Vec<_> = advisory.affected.iter().map(|it| format!("{} {}", it.space, it.package)).collect();
    assert_eq!(spaces, ["Debian:12 openssl", "npm @a/b"]);
    assert_eq!(advisory.affected[0].ranges[0].to_string(), "introduced 0, fixed 3.0.11-1+deb12u2");
    let named: Vec<_> = advisory.affected[0].versions.iter().map(AsRef::as_ref).collect();
    assert_eq!(named, ["3.0.99-1"], "those in a range are held by the range");
}

#[test]
fn one_bad_part_costs_that_part_alone_and_is_told() {
    let text = WHOLE.replace("3.0.11-1+deb12u2", "x:1").replace("AV:N", "AV:Q").replace("2026-01-01T00:00:00Z", "soon");
    let Parsed { advisory, flaws } = read(&text);
    assert_eq!(flaws.len(), 3, "{flaws:?}");
    assert!(flaws.iter().any(|flaw| flaw.starts_with("affected[0].ranges[0]: \"x:1\" is not a version")), "{flaws:?}");
    assert!(flaws.iter().any(|flaw| flaw.starts_with("severity: ")) && flaws.iter().any(|flaw| flaw.starts_with("published: ")));
    assert_eq!(advisory.severity(), Some(Severity::High), "the distribution's word is left");
    let named: Vec<_> = advisory.affected[0].versions.iter().map(AsRef::as_ref).collect();
    assert_eq!(named, ["1.0", "3.0.11-1", "3.0.99-1"], "what the lost range held still counts by name");
}

#[test]
fn a_withdrawn_record_stays_withdrawn_even_if_its_date_is_none() {
    assert_eq!(read(r#"{"id":"X-1","withdrawn":"2026-01-01T00:00:00Z"}"#).advisory.withdrawn, Some(Timestamp(1_767_225_600_000)));
    assert_eq!(read(r#"{"id":"X-1","withdrawn":"yes"}"#).advisory.withdrawn, Some(Timestamp(0)));
    assert_eq!(read(r#"{"id":"X-1","withdrawn":null}"#).advisory.withdrawn, None);
}

#[test]
fn what_is_no_record_is_refused_with_its_name_and_reason() {
    let refused = |text: &[u8]| parse(text).unwrap_err();
    assert!(refused(b"[1,2]").reason.contains("not a record"));
    assert!(refused(br#"{"id":"X-1","affected":{"a":1}}"#).reason.contains("not a record"));
    assert!(refused(br#"{"id":7}"#).reason.contains("invalid type"));
    assert!(refused(br#"{"id":"X-1","summary":"\xff"}"#).reason.contains("not a record"));
    assert!(refused(b"{\"id\":\"X-1\",\"summary\":\"\xff\"}").reason.contains("not a record"));
    let bad = refused(br#"{"id":"-rf /"}"#);
    assert_eq!((bad.id.as_deref(), bad.reason.starts_with("id: ")), (Some("-rf /"), true));
    let deep = |field: &str| format!("{{\"id\":\"X-1\",\"{field}\":{}", "[".repeat(100_000));
    assert!(refused(deep("database_specific").as_bytes()).reason.contains("recursion limit"));
    assert!(refused(deep("unknown").as_bytes()).reason.contains("not a record"));
    let many = format!(r#"{{"id":"X-1","affected":[{}{{}}]}}"#, "{},".repeat(AFFECTED_MAX));
    assert!(refused(many.as_bytes()).reason.starts_with("affected has 20001 entries"));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn a_damaged_record_is_survived(at in 0..WHOLE.len(), with in any::<u8>(), cut in 0..WHOLE.len()) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes[at] = with;
        let _ = parse(&bytes);
        let _ = parse(&WHOLE.as_bytes()[..cut]);
    }
}
