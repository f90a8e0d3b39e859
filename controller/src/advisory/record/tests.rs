#![allow(clippy::unwrap_used)]
use patchwave_common::domain::version::{Ecosystem, compare};
use proptest::prelude::*;

use super::*;

fn introduced(version: &str) -> Event {
    Event::Introduced((version != "0").then(|| version.into()))
}

fn fixed(version: &str) -> Event {
    Event::Fixed(version.into())
}

fn affected(space: &str, ranges: Vec<Vec<Event>>, versions: &[&str]) -> Affected {
    let space = Space::parse(space).unwrap();
    let ranges = ranges.into_iter().map(|events| Range::new(space.ecosystem(), events).unwrap()).collect();
    Affected { package: "p".into(), ranges, versions: versions.iter().map(|version| (*version).into()).collect(), space }
}

/// Whether a version is hit, and by what it is closed.
fn hit(affected: &Affected, version: &str) -> Option<Option<String>> {
    affected.hit(version).unwrap().map(|hit| hit.fixed.map(|fixed| fixed.to_string()))
}

fn closed_by(version: &str) -> Option<Option<String>> {
    Some(Some(version.to_owned()))
}

#[test]
fn a_hole_is_there_from_where_it_came_to_before_it_was_fixed() {
    let debian = affected("Debian:12", vec![vec![introduced("0"), fixed("1.2-3")]], &[]);
    assert_eq!(hit(&debian, "1.2-2"), closed_by("1.2-3"));
    assert_eq!(hit(&debian, "1.2-3~bpo1"), closed_by("1.2-3"));
    assert_eq!([hit(&debian, "1.2-3"), hit(&debian, "1:0-1")], [None, None]);
    let later = affected("Debian:12", vec![vec![fixed("4"), introduced("2"), fixed("3"), introduced("3.5")]], &[]);
    assert_eq!(["1", "2", "2.9", "3", "3.5", "4"].map(|version| hit(&later, version).is_some()), [false, true, true, false, true, false]);
}

#[test]
fn the_last_affected_version_has_the_hole_and_nothing_is_said_of_a_fix() {
    let npm = affected("npm", vec![vec![introduced("1.0.0"), Event::LastAffected("1.4.0".into())]], &[]);
    assert_eq!([hit(&npm, "1.4.0"), hit(&npm, "1.4.1"), hit(&npm, "1.0.0-rc.1")], [Some(None), None, None]);
}

#[test]
fn a_range_says_nothing_beyond_all_of_its_limits() {
    let limited = affected("PyPI", vec![vec![introduced("0"), Event::Limit("2.0".into()), Event::Limit("3.0".into())]], &[]);
    assert_eq!(["1.9", "2.5", "3.0"].map(|version| hit(&limited, version).is_some()), [true, true, false]);
}

#[test]
fn what_is_in_several_ranges_is_closed_by_what_closes_all_of_them() {
    let several =
        affected("Debian:12", vec![vec![introduced("0"), fixed("2")], vec![introduced("1"), fixed("3")], vec![introduced("9")]], &[]);
    assert_eq!([hit(&several, "0.5"), hit(&several, "1.5"), hit(&several, "9.1")], [closed_by("2"), closed_by("3"), Some(None)]);
    let open = affected("Debian:12", vec![vec![introduced("0"), fixed("2")], vec![introduced("1")]], &[]);
    assert_eq!(hit(&open, "1.5"), Some(None));
}

#[test]
fn events_of_one_version_keep_the_order_of_the_record() {
    let nothing = affected("Debian:12", vec![vec![introduced("2"), fixed("2")]], &[]);
    assert_eq!(hit(&nothing, "2"), None);
    let again = affected("Debian:12", vec![vec![introduced("1"), fixed("2"), introduced("2"), fixed("3")]], &[]);
    assert_eq!(hit(&again, "2"), closed_by("3"));
}

#[test]
fn versions_named_one_by_one_have_the_hole_however_they_are_written() {
    let named = affected("PyPI", vec![vec![introduced("3.0"), fixed("3.1")]], &["1.0", "2.0rc1"]);
    assert_eq!([hit(&named, "1.0"), hit(&named, "1.0.0"), hit(&named, "2.0-rc.1")], [(); 3].map(|()| closed_by("3.1")));
    assert_eq!(hit(&named, "1.1"), None);
}

#[test]
fn an_installed_version_that_is_none_is_an_error_and_no_clean_answer() {
    let debian = affected("Debian:12", vec![vec![introduced("0"), fixed("1")]], &[]);
    assert!(debian.hit("a:b").is_err());
    assert!(Range::new(Ecosystem::Deb, vec![fixed("x:1")]).is_err());
}

#[test]
fn spaces_are_read_as_the_schema_writes_them_and_kept_apart() {
    for (text, shown) in
        [("Debian:12", "Debian:12"), ("Ubuntu:22.04:LTS", "Ubuntu:22.04"), ("Ubuntu:Pro:20.04:LTS", "Ubuntu:Pro:20.04"), ("npm", "npm")]
    {
        assert_eq!(Space::parse(text).unwrap().to_string(), shown);
    }
    for refused in ["", "Debian", "Debian:", "debian:12", "Go", "Maven", "Debian:1\u{1b}2"] {
        assert_eq!(Space::parse(refused), None, "{refused}");
    }
    assert_eq!(Space::of_host("ubuntu", "22.04"), Space::parse("Ubuntu:22.04:LTS"));
    assert_ne!(Space::of_host("ubuntu", "20.04"), Space::parse("Ubuntu:Pro:20.04:LTS"));
    assert_eq!(Space::of_host("debian", ""), None, "testing has no number, and no advisories of its own");
    assert_eq!(Space::parse_os("debian:12").unwrap(), Space::parse("Debian:12").unwrap());
    assert!(Space::parse_os("arch").unwrap_err().to_string().contains("debian:12"));
    assert_eq!(Space::parse("PyPI").unwrap().normal_name("Zope._.Interface").as_ref(), "zope-interface");
}

proptest! {
    /// The same, said in another way: the events at or before a version, the last of them decides.
    #[test]
    fn the_last_event_at_or_before_a_version_decides(
        // From 1: `introduced 0` means before every version, the version 0 as well.
        points in proptest::collection::vec((1u8..12, 0u8..3), 1..8),
        version in 0u8..13,
    ) {
        let event = |&(at, kind): &(u8, u8)| match kind {
            0 => introduced(&at.to_string()),
            1 => fixed(&at.to_string()),
            _ => Event::LastAffected(at.to_string().into()),
        };
        let range = Range::new(Ecosystem::Deb, points.iter().map(event).collect()).unwrap();
        let mut sorted = points.clone();
        sorted.sort_by_key(|(at, _)| *at);
        let passed = sorted.iter().rfind(|(at, kind)| match kind {
            2 => version > *at,
            _ => version >= *at,
        });
        let text = version.to_string();
        prop_assert_eq!(range.contains(Ecosystem::Deb, &text).unwrap(), passed.is_some_and(|(_, kind)| *kind == 0));
        if let Some(fixed) = range.fixed_after(Ecosystem::Deb, &text).unwrap() {
            prop_assert!(compare(Ecosystem::Deb, &fixed, &text).unwrap().is_gt());
        }
    }
}
