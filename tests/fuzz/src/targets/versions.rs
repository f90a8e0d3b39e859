//! The order of Debian's versions: three texts.
//!
//! Holds: a total order: each equals itself, swapping two swaps the answer, and it is transitive; a version with something after `~` comes
//! before the one without; a number more at the end never makes it smaller.

use std::cmp::Ordering;

use patchwave_common::domain::compare_debian;

use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let mut texts = pieces::texts(data);
    texts.resize(3, String::new());
    for left in &texts {
        assert_eq!(compare_debian(left, left), Ordering::Equal);
        for right in &texts {
            assert_eq!(compare_debian(left, right), compare_debian(right, left).reverse(), "{left:?} {right:?}");
            for third in &texts {
                let (first, second, whole) = (compare_debian(left, right), compare_debian(right, third), compare_debian(left, third));
                if first == second || second == Ordering::Equal {
                    assert_eq!(whole, first, "{left:?} {right:?} {third:?}");
                }
            }
        }
        if !left.is_empty() && !left.contains([':', '~']) {
            assert_eq!(compare_debian(&format!("{left}~"), left), Ordering::Less, "{left:?}");
            assert_ne!(compare_debian(&format!("{left}+9"), left), Ordering::Less, "{left:?}");
        }
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let triples =
        [["1.0~rc1-1", "1.0-1", "1.0-1+b1"], ["1:0.1", "0:1", "1"], ["1.10", "1.9", "1.0010"], ["a-b-c", "a-b", "a"], ["1~~", "1~", "1"]];
    triples.map(|triple| triple.map(str::as_bytes).join(&0xff)).to_vec()
}
