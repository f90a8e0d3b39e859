//! Properties of the orders, on versions that lie close together: made of few pieces, so that equal and nearly equal ones come up often.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Ecosystem, InvalidVersion, check, compare};

/// Pieces that versions of an ecosystem consist of; whatever they add up to is tried.
fn pieces(ecosystem: Ecosystem) -> &'static [&'static str] {
    match ecosystem {
        Ecosystem::Deb => &["0", "1", "01", "10", ".", "-", "~", "+", ":", "a", "Z", "_", "0:", "-0", "+b1"],
        Ecosystem::Rpm => &["0", "1", "01", "10", ".", "-", "~", "^", ":", "a", "Z", "_", "0:", "-1", "git"],
        Ecosystem::Apk => &["0", "1", "01", "10", ".0", ".1", ".01", "a", "_rc", "_p", "_git1", "~c0", "-r0", "-r1", "-", "_"],
        Ecosystem::Alpm => &["0", "1", "01", "10", ".0", ".1", ".a", "a", "rc1", "_1", "+1", "1:"],
        Ecosystem::Pep440 => &["0", "1", "01", "10", ".0", ".1", "a", "b1", "rc", ".post1", "-1", ".dev0", "+a", "+1", ".", "1!", "v"],
        Ecosystem::Semver => &["0", "1", "10", ".0", ".1", "-", "-a", ".a", "-1", "+1", "v", "="],
    }
}

/// What a version of the ecosystem needs before and after free pieces, so that most texts are versions.
fn frame(ecosystem: Ecosystem) -> (&'static str, &'static str) {
    match ecosystem {
        Ecosystem::Semver => ("1.0.0", ""),
        // Always with a release: without one equality is not transitive.
        Ecosystem::Alpm => ("1", "-1"),
        _ => ("1", ""),
    }
}

fn version(ecosystem: Ecosystem) -> impl Strategy<Value = String> {
    let (start, end) = frame(ecosystem);
    let free = vec(select(pieces(ecosystem)), 0..5).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => free.clone().prop_map(move |free| format!("{start}{free}{end}")), 1 => free.prop_map(move |free| format!("{free}{end}"))]
        .prop_filter("a version", move |text| check(ecosystem, text).is_ok())
}

fn three() -> impl Strategy<Value = (Ecosystem, [String; 3])> {
    select(Ecosystem::ALL.as_slice())
        .prop_flat_map(|ecosystem| (Just(ecosystem), [version(ecosystem), version(ecosystem), version(ecosystem)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_order_of_versions_is_total((ecosystem, [left, middle, right]) in three()) {
        let order = |left: &str, right: &str| compare(ecosystem, left, right).unwrap();
        prop_assert_eq!(order(&left, &left), Ordering::Equal);
        prop_assert_eq!(order(&left, &right), order(&right, &left).reverse());
        let (first, second, whole) = (order(&left, &middle), order(&middle, &right), order(&left, &right));
        if first == second || second == Ordering::Equal {
            prop_assert_eq!(whole, first, "{} {:?} {:?} {:?}", ecosystem, left, middle, right);
        } else if first == Ordering::Equal {
            prop_assert_eq!(whole, second, "{} {:?} {:?} {:?}", ecosystem, left, middle, right);
        }
    }

    #[test]
    fn no_text_is_too_odd(left in ".{0,20}", right in "[ -~]{0,20}", ecosystem in select(Ecosystem::ALL.as_slice())) {
        let both: Result<Ordering, InvalidVersion> = compare(ecosystem, &left, &right);
        prop_assert_eq!(both.is_ok(), check(ecosystem, &left).is_ok() && check(ecosystem, &right).is_ok());
        prop_assert!(compare(ecosystem, &right, &right).is_ok_and(Ordering::is_eq) == check(ecosystem, &right).is_ok());
    }
}
