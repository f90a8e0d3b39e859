#![allow(clippy::unwrap_used, clippy::print_stderr)]
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Real data that is not part of the project.
fn shared(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: there is no ../shared/data/{name} beside the project");
    }
    bytes
}

fn cve(id: &str) -> AdvisoryId {
    AdvisoryId::parse(id).unwrap()
}

const KEV: &str = r#"{"catalogVersion":"1","dateReleased":"2026-08-21T17:46:43.6019Z","vulnerabilities":[
    {"cveID":"cve-2026-1","dateAdded":"2026-08-20","dueDate":"2026-09-01","vulnerabilityName":"A\u001b hole","requiredAction":"Close it",
     "knownRansomwareCampaignUse":"Known"},
    {"cveID":"CVE-2026-2","dateAdded":"soon"}, {"dateAdded":"2026-08-20"}, 7, {"cveID":"GHSA-1","dateAdded":"2026-08-20"},
    {"cveID":"CVE-2026-3","dateAdded":"2026-08-20"}]}"#;

#[test]
fn entries_of_the_catalogue_are_read_and_bad_ones_are_told_by_name() {
    let facts = parse_kev(KEV.as_bytes()).unwrap();
    let known = &facts.by_cve[&cve("CVE-2026-1")];
    assert_eq!((known.name.as_str(), known.ransomware, known.added), ("A  hole", true, Timestamp(1_787_184_000_000)));
    assert_eq!((facts.by_cve.len(), facts.bad.count), (2, 4));
    assert_eq!(facts.dated, Some(Timestamp(1_787_334_403_601)));
    let names: Vec<&str> = facts.bad.shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CVE-2026-2", "vulnerabilities[2]", "vulnerabilities[3]", "GHSA-1"]);
    assert!(facts.bad.shown[0].1.contains("dateAdded: \"soon\" is no date"));
}

#[test]
fn the_catalogue_of_2026_holds_that_of_2025_and_270_more() {
    let (Some(older), Some(newer)) = (shared("feeds/kev-2025-08-25.json"), shared("feeds/kev-2026-08-21.json")) else { return };
    let (older, newer) = (parse_kev(&older).unwrap(), parse_kev(&newer).unwrap());
    assert_eq!((older.bad.count, newer.bad.count), (0, 0));
    assert_eq!((older.by_cve.len(), newer.by_cve.len()), (1404, 1674));
    assert!(older.by_cve.keys().all(|id| newer.by_cve.contains_key(id)));
    assert!(older.dated < newer.dated);
}

#[test]
fn forecasts_are_read_with_their_date_and_in_hundred_thousandths() {
    let text = "#model_version:v2023.03.01,score_date:2024-10-25T00:00:00+0000\ncve,epss,percentile\nCVE-1999-0005,0.91963,0.99030\n\
        CVE-2,1,1.0\nCVE-3,1e-05,0\nCVE-4,1.1,0\nCVE-5,-0.1,0\nCVE-6,NaN,0\nCVE-7,0.5\nx,0.5,0.5\n";
    let facts = parse_epss(text.as_bytes()).unwrap();
    assert_eq!(facts.dated, Some(Timestamp(1_729_814_400_000)));
    let read: Vec<(u32, u32)> = facts.by_cve.values().map(|it| (it.probability, it.percentile)).collect();
    assert_eq!(read, [(91_963, 99_030), (100_000, 100_000), (1, 0)]);
    assert_eq!(facts.bad.count, 5, "{:?}", facts.bad);
    assert!(facts.bad.shown[0].0 == "line 6" && facts.bad.shown[0].1.contains("epss: \"1.1\" is no number from 0 to 1"));
    if let Some(real) = shared("feeds/epss-sample-2024-10-25.csv") {
        let facts = parse_epss(&real).unwrap();
        assert_eq!((facts.by_cve.len(), facts.bad.count), (29, 0));
    }
}

#[test]
fn decision_points_are_read_in_any_case_and_order_and_may_be_unknown() {
    let text = "automatable,cve,exploitation\nYES,cve-2026-1,PoC\n,CVE-2026-2,active\nmaybe,CVE-2026-3,none\nno\n";
    let facts = parse_ssvc(text.as_bytes()).unwrap();
    let first = facts.by_cve[&cve("CVE-2026-1")];
    assert_eq!(
        (first.exploitation, first.automatable, first.technical_impact),
        (Some(Exploitation::ProofOfConcept), Some(Automatable::Yes), None)
    );
    assert_eq!(facts.by_cve[&cve("CVE-2026-2")].automatable, None);
    assert_eq!(facts.bad.count, 2);
    assert_eq!(facts.bad.shown[0], ("line 4".into(), "automatable: \"maybe\" is none of no, yes".into()));
    if let Some(real) = shared("feeds/ssvc-points-2024-10-24.tsv") {
        let facts = parse_ssvc(&real).unwrap();
        assert_eq!(facts.bad, BadEntries::default());
        assert!(facts.by_cve.len() > 100 && facts.by_cve.values().all(|it| it.technical_impact.is_some()));
    }
}

#[test]
fn what_is_another_feed_is_refused_as_a_whole() {
    let epss = "cve,epss,percentile\nCVE-1,0.1,0.1\n";
    assert!(parse_kev(epss.as_bytes()).unwrap_err().to_string().contains("this is not CISA's catalogue"));
    assert!(parse_epss(KEV.as_bytes()).unwrap_err().to_string().contains("not cve,epss,percentile"));
    assert!(parse_ssvc(epss.as_bytes()).unwrap_err().to_string().contains("this is not a table of SSVC"));
    assert!(parse_epss(b"").is_err() && parse_ssvc(b"").is_err() && parse_kev(b"{}").is_err());
    let deep = format!("{{\"vulnerabilities\":[{}", "[".repeat(100_000));
    assert!(parse_kev(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn bytes_that_are_no_text_cost_the_rows_where_they_stand() {
    let facts = parse_epss(b"\xef\xbb\xbfcve,epss,percentile\nCVE-\xff,0.1,0.1\nCVE-2,0.1,0.1\n").unwrap();
    assert_eq!((facts.by_cve.len(), facts.bad.count), (1, 1));
}

#[test]
fn a_feed_of_nothing_but_bad_entries_is_told_in_part_and_counted_whole() {
    let text = format!("cve,epss,percentile\n{}", "x,0,0\n".repeat(10_000));
    let facts = parse_epss(text.as_bytes()).unwrap();
    assert_eq!((facts.bad.count, facts.bad.shown.len()), (10_000, BAD_SHOWN));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse_kev(&bytes), parse_epss(&bytes), parse_ssvc(&bytes));
        let table = |header: &str| [header.as_bytes(), b"\n", &bytes].concat();
        let _ = (parse_epss(&table("cve,epss,percentile")), parse_ssvc(&table("cve,exploitation")));
    }

    #[test]
    fn a_damaged_catalogue_is_survived(at in 0..KEV.len(), with in any::<u8>()) {
        let mut bytes = KEV.as_bytes().to_vec();
        bytes[at] = with;
        let _ = parse_kev(&bytes);
    }
}
