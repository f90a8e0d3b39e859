#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::{BUILT_IN, BUILT_IN_TEXTS, Basis, Due, Outcome, Table, parse_table};

const DAY: Duration = Duration::from_secs(86_400);

fn known(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(point, value)| ((*point).to_owned(), (*value).to_owned())).collect()
}

fn bod() -> &'static Table {
    Table::built_in("bod-26-04").unwrap()
}

/// The table's point that a column of CISA's table speaks of, by how the column's name begins.
const COLUMNS: [(&str, &str); 4] = [
    ("In KEV", "known-exploited"),
    ("Publicly Exposed", "publicly-exposed"),
    ("Automatable", "automatable"),
    ("Technical Impact", "technical-impact"),
];

fn outcome_of(text: &str) -> Outcome {
    let (span, investigate) = text.strip_suffix(" & forensic investigation").map_or((text, false), |span| (span, true));
    let due = match span.strip_suffix(" days") {
        Some(days) => Due::Within(DAY * days.parse().unwrap()),
        None if span == "fix on system upgrade" => Due::NextUpgrade,
        None => panic!("{text} is no known outcome"),
    };
    Outcome { due, investigate }
}

#[test]
fn every_row_of_cisas_table_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/ssvc/cisa_bod_26_04_1_0_0.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("LEFT OUT: {path} is absent, so CISA's own table was not tried");
        return;
    };
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let points: Vec<Option<&str>> =
        header.iter().map(|column| COLUMNS.iter().find(|(start, _)| column.starts_with(start)).map(|(_, point)| *point)).collect();
    assert_eq!(points.iter().flatten().count(), bod().points().len());
    let mut rows = 0;
    for line in lines.filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let values: Vec<(&str, &str)> = points.iter().zip(&cells).filter_map(|(point, cell)| point.map(|point| (point, *cell))).collect();
        let decision = bod().decide(&known(&values));
        assert_eq!(decision.outcome, outcome_of(cells.last().unwrap()), "{line}");
        assert!(decision.points.iter().all(|answer| answer.basis == Basis::Known), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 16);
}

#[test]
fn tables_that_come_with_the_program_can_be_read() {
    for text in BUILT_IN_TEXTS {
        parse_table(text).unwrap();
    }
    assert_eq!(BUILT_IN.len(), BUILT_IN_TEXTS.len());
}

#[test]
fn with_unknown_points_the_most_cautious_of_all_possible_outcomes_holds() {
    // Each of the four points: unknown, its first value, or its second.
    for digits in 0..81_usize {
        let digit = |point: usize| digits / 3_usize.pow(u32::try_from(point).unwrap()) % 3;
        let mut given = BTreeMap::new();
        let mut possible = vec![BTreeMap::new()];
        for (index, point) in bod().points().iter().enumerate() {
            let values = if digit(index) == 0 { point.values.as_slice() } else { &point.values[digit(index) - 1..digit(index)] };
            if let [value] = values {
                given.insert(point.name.clone(), value.clone());
            }
            let longer = |combination: &BTreeMap<String, String>, value: &String| {
                let mut longer = combination.clone();
                longer.insert(point.name.clone(), value.clone());
                longer
            };
            possible =
                possible.iter().flat_map(|combination| values.iter().map(|value| longer(combination, value)).collect::<Vec<_>>()).collect();
        }
        let outcomes: Vec<Outcome> = possible.iter().map(|combination| bod().decide(combination).outcome).collect();
        let soonest = outcomes.iter().map(|outcome| outcome.due).min().unwrap();
        let investigate = outcomes.iter().any(|outcome| outcome.due == soonest && outcome.investigate);
        let decision = bod().decide(&given);
        assert_eq!(decision.outcome, Outcome { due: soonest, investigate }, "{given:?}");
        // What was assumed leads to the same outcome when it is known, and nothing known was overruled.
        let assumed = decision.points.iter().map(|answer| (answer.point.name.clone(), answer.value.to_owned())).collect();
        assert_eq!(bod().decide(&assumed).outcome, decision.outcome);
        assert!(given.iter().all(|(point, value)| assumed.get(point) == Some(value)));
    }
}

#[test]
fn a_decision_says_what_it_assumed_and_what_made_no_difference() {
    let decision = bod().decide(&known(&[("known-exploited", "YES"), ("publicly-exposed", "no"), ("technical-impact", "Partial")]));
    assert_eq!(
        decision.to_string(),
        "within 14 days (row 4: known-exploited is yes; publicly-exposed is no; automatable is unknown and makes no difference; \
         technical-impact is partial)"
    );
    let decision =
        bod().decide(&known(&[("known-exploited", "no"), ("automatable", "perhaps"), ("technical-impact", "total"), ("moon", "full")]));
    assert_eq!(
        decision.to_string(),
        "within 3 days (row 5: known-exploited is no; publicly-exposed is unknown, taken as yes; automatable is unknown, taken as yes; \
         technical-impact is total)"
    );
    // Either alone would not change the outcome, both together would.
    let decision = bod().decide(&known(&[("known-exploited", "yes"), ("technical-impact", "total")]));
    assert_eq!(decision.points.iter().filter(|answer| answer.basis == Basis::Assumed).count(), 2, "{decision}");
    let nothing = bod().decide(&BTreeMap::new());
    assert_eq!(nothing.outcome.to_string(), "within 3 days, and investigate the host");
    assert!(nothing.points.iter().all(|answer| answer.value == answer.point.values[1]), "the worst is assumed: {nothing}");
}

/// A table as an operator could write it: severity raised by circumstances.
const OWN: &str = r#"
name = "own"
[[point]]
name = "severity"
values = ["low", "medium", "high", "critical"]
[[point]]
name = "exposure"
values = ["internal", "internet"]
[[row]]
when = { severity = "critical" }
within = "24h"
[[row]]
when = { severity = ["medium", "high"], exposure = "internet" }
within = "2d"
[[row]]
within = "next-upgrade"
"#;

#[test]
fn an_operators_own_table_decides() {
    let own = parse_table(OWN).unwrap();
    let due = |severity, exposure| own.decide(&known(&[("severity", severity), ("exposure", exposure)])).outcome.to_string();
    assert_eq!(due("critical", "internal"), "within 24 h");
    assert_eq!(due("medium", "internet"), "within 48 h");
    assert_eq!(due("high", "internal"), "with the next upgrade");
    assert_eq!(due("low", ""), "with the next upgrade");
    assert_eq!(due("", "internal"), "within 24 h");
}

#[test]
fn an_unknown_point_is_taken_as_its_table_says_and_the_decision_tells_it() {
    let agreed = OWN.replace("values = [\"internal\", \"internet\"]", "values = [\"internal\", \"internet\"]\nunknown = \"internal\"");
    let table = parse_table(&agreed).unwrap();
    let decision = table.decide(&known(&[("severity", "high")]));
    assert_eq!(
        decision.to_string(),
        "with the next upgrade (row 3: severity is high; exposure is unknown, which the table takes as internal)"
    );
    let refused = parse_table(&agreed.replace("unknown = \"internal\"", "unknown = \"moon\"")).unwrap_err().to_string();
    assert!(refused.contains("point[2].unknown: \"moon\" is none of its values internal, internet"), "{refused}");
}

#[test]
fn severity_is_raised_by_one_class_and_by_known_exploitation_to_the_worst() {
    let table = Table::built_in("severity").unwrap();
    let due = |values: &[(&str, &str)]| table.decide(&known(values)).outcome.to_string();
    let classes = [("low", "within 14 days"), ("medium", "within 7 days"), ("high", "within 48 h"), ("critical", "within 24 h")];
    for (index, (severity, within)) in classes.into_iter().enumerate() {
        assert_eq!(due(&[("severity", severity)]), within);
        let raised = classes[(index + 1).min(3)].1;
        for point in ["likely-exploited", "publicly-exposed", "critical-host"] {
            assert_eq!(due(&[("severity", severity), (point, "yes")]), raised, "{severity} {point}");
        }
        let all = [("severity", severity), ("likely-exploited", "yes"), ("publicly-exposed", "yes"), ("critical-host", "yes")];
        assert_eq!(due(&all), raised, "{severity}");
        assert_eq!(due(&[("severity", severity), ("known-exploited", "yes")]), "within 24 h");
    }
    assert_eq!([due(&[]), due(&[("severity", "none")])], ["within 7 days", "with the next upgrade"]);
}

#[test]
fn a_table_that_is_not_whole_is_refused_with_the_field_and_the_way_out() {
    let error = |from: &str, to: &str| parse_table(&OWN.replace(from, to)).unwrap_err().to_string();
    let last = "[[row]]\nwithin = \"next-upgrade\"\n";
    assert!(error(last, "").contains("no row matches severity = low, exposure = internal; a last one without `when`"));
    assert!(error(last, &last.repeat(2)).contains("row[4]: it never holds"));
    assert!(
        error("severity = \"critical\"", "severity = \"grave\"")
            .contains("row[1].when.severity: \"grave\" is none of its values low, medium")
    );
    assert!(
        error("exposure = \"internet\"", "place = \"moon\"")
            .contains("row[2].when.place: there is no such point; there are severity, exposure")
    );
    assert!(error("[\"medium\", \"high\"]", "[]").contains("row[2].when.severity: no value matches"));
    assert!(error("\"24h\"", "\"soon\"").contains("row[1].within") && error("\"24h\"", "\"soon\"").contains("next-upgrade"));
    assert!(error("\"low\", ", "\"medium\", ").contains("point[1].values: a point has at least two values"));
    assert!(error("\"exposure\"\n", "\"severity\"\n").contains("point[2].name: severity stands there twice"));
    assert!(error("\"own\"", "\"Own Table\"").contains("name: 1 to 40 lower-case letters"));
    assert!(error("within = \"24h\"", "within = \"24h\"\nforensics = true").contains("unknown field"));
    assert!(error("name = \"own\"", "").contains("missing field"));
}

#[test]
fn a_table_is_bounded() {
    let values = |count: usize| (0..count).map(|value| format!("\"v{value}\"")).collect::<Vec<_>>().join(", ");
    let point = |name: usize, count| format!("[[point]]\nname = \"p{name}\"\nvalues = [{}]\n", values(count));
    let table = |points: &str| parse_table(&format!("name = \"t\"\n{points}[[row]]\nwithin = \"1d\"\n"));
    let points = |count, each| (0..count).map(|name| point(name, each)).collect::<String>();
    assert!(table(&points(12, 2)).is_ok());
    assert!(table(&points(13, 2)).unwrap_err().to_string().contains("1 to 12"));
    assert!(table(&points(12, 3)).unwrap_err().to_string().contains("531441 combinations"));
    assert!(table("").unwrap_err().to_string().contains("1 to 12"));
    assert!(parse_table(&"#".repeat(1 << 20)).unwrap_err().to_string().contains("1048576 bytes"));
}
