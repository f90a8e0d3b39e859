//! Holds every known score (`cvss/*.tsv` of the shared test data): `vector <tab> base [<tab> temporal <tab> environmental]`, and no panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Cvss;

/// Rows that do not hold: file, row, reason. None is needed.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

#[test]
fn every_known_score_holds_but_for_the_listed_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/cvss");
    let Ok(files) = fs::read_dir(folder) else {
        eprintln!("LEFT OUT: {folder} is absent, so no known score was tried");
        return;
    };
    let (mut wrong, mut rows) = (BTreeSet::new(), [0; 3]);
    for path in files.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for row in fs::read_to_string(&path).unwrap().lines().filter(|row| !row.is_empty()) {
            let mut columns = row.split('\t');
            let cvss = Cvss::parse(columns.next().unwrap());
            let holds = cvss.as_ref().is_ok_and(|cvss| {
                let found = [cvss.score(), cvss.temporal(), cvss.environmental()];
                columns.zip(found).filter(|(wanted, _)| !wanted.is_empty()).all(|(wanted, found)| wanted == found.to_string())
            });
            let Some(version) = ["CVSS:4", "CVSS:3", "AV:"].iter().position(|start| row.starts_with(start)) else {
                panic!("{name}: {row:?} is of no known version");
            };
            rows[version] += 1;
            if !holds {
                eprintln!("{name}: {row:?}: {cvss:?}");
                wrong.insert((name.clone(), row.to_owned()));
            }
        }
    }
    assert!(rows[0] > 1_000 && rows[1] > 5_000 && rows[2] > 700, "{rows:?}");
    let listed: BTreeSet<_> = EXCEPTIONS.iter().map(|(file, row, _)| ((*file).to_owned(), (*row).to_owned())).collect();
    assert_eq!(wrong, listed, "rows that disagree (left) and rows that are listed (right) differ");
}

/// Metrics of all versions, right values and wrong ones.
const METRICS: [&str; 37] = [
    "AV:N", "AV:P", "AC:L", "AC:H", "PR:N", "PR:H", "UI:N", "UI:R", "UI:A", "S:U", "S:C", "C:N", "C:H", "I:L", "I:N", "A:H", "A:N", "AT:N",
    "VC:H", "VI:N", "VA:L", "SC:N", "SI:N", "SA:H", "E:U", "E:P", "RL:O", "RC:U", "MAV:P", "MSI:S", "MS:C", "CR:H", "Au:N", "U:Red", "X",
    "", "C:",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_scored_or_refused(
        base in select([
            "", "CVSS:3.0/", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:L/A:H/", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:L/A:H/", "CVSS:4.0/",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/", "AV:N/AC:L/Au:N/C:P/I:P/A:P/",
        ].as_slice()),
        more in vec(select(METRICS.as_slice()), 0..12),
        text in ".{0,30}",
    ) {
        if let Ok(cvss) = Cvss::parse(&format!("{base}{}", more.join("/"))) {
            prop_assert!([cvss.score(), cvss.temporal(), cvss.environmental()].iter().all(|score| score.tenths() <= 100));
        }
        prop_assert!(Cvss::parse(&text).is_err());
    }
}
