//! What every kind of feed keeps to. A new kind gives a sample.
#![allow(clippy::unwrap_used)]

use super::{Content, FORMATS, FeedFormat};
use crate::records::FeedKind;

/// A record of the kind that says one thing.
fn sample(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Osv => r#"{"id":"CVE-2026-1","affected":[{"package":{"ecosystem":"Debian:12","name":"a"},"versions":["1"]}]}"#,
        FeedKind::Kev => {
            r#"{"dateReleased":"2026-11-02T10:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-11-01","dueDate":"2026-11-22"}]}"#
        }
        FeedKind::Epss => "#model_version:v1,score_date:2026-11-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1,0.5,0.9\n",
        FeedKind::Ssvc => "cve\texploitation\tautomatable\ttechnical_impact\nCVE-2026-1\tactive\tyes\ttotal\n",
        FeedKind::OpenVex => {
            r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"a","timestamp":"2026-11-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"pkg:deb/debian/a"}],"status":"fixed"}]}"#
        }
    }
}

fn read(format: &FeedFormat, records: &[&[u8]]) -> (Content, usize) {
    let mut reader = format.reader();
    let refused = (0..).zip(records).filter(|(number, record)| reader.take(&format!("{number}.json"), record).is_err()).count();
    (reader.finish(), refused)
}

#[test]
fn every_kind_has_its_row_and_reads_its_sample() {
    for (kind, format) in FeedKind::ALL.into_iter().zip(&FORMATS) {
        assert_eq!((format.kind, FeedFormat::of(kind).kind), (kind, kind));
        let (content, refused) = read(format, &[sample(kind).as_bytes()]);
        assert_eq!((content.len(), refused), (1, 0), "{kind:?}");
        assert!(format.every < format.max_age && !format.about.is_empty(), "{kind:?}");
    }
}

#[test]
fn a_record_that_is_refused_is_told_and_leaves_no_trace() {
    let hostile: [&[u8]; 5] = [b"", b"\xff\xfe\x00", b"[[[[", br#"{"id":7}"#, b"null"];
    for format in &FORMATS {
        let (good, _) = read(format, &[sample(format.kind).as_bytes()]);
        for bad in hostile {
            let (content, refused) = read(format, &[bad]);
            assert_eq!((content.len(), refused), (0, 1), "{:?} {bad:?}", format.kind);
            let mut reader = format.reader();
            assert!(reader.take("bad.json", bad).is_err());
            reader.take("0.json", sample(format.kind).as_bytes()).unwrap();
            assert_eq!(reader.finish(), good, "{:?}", format.kind);
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for format in &FORMATS {
        assert_eq!(read(format, &[deep.as_bytes()]).1, 1, "{:?}", format.kind);
    }
}

#[test]
fn the_same_content_is_no_change_and_other_content_is_one() {
    for format in &FORMATS {
        let (content, _) = read(format, &[sample(format.kind).as_bytes()]);
        let empty = format.reader().finish();
        assert_eq!(content.delta(Some(&content)), super::Delta::default(), "{:?}", format.kind);
        assert_eq!(content.delta(None).added, 1, "{:?}", format.kind);
        assert_eq!(empty.delta(Some(&content)).removed, 1, "{:?}", format.kind);
    }
}
