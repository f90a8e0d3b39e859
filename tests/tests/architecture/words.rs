//! Words that have no place in the project's files: paths of one person's machine, and leftovers of how it was written.

use std::fs;

use crate::assert_none;
use crate::scan::{all_files, relative};

/// Put together here so that this file does not contain them.
const FORBIDDEN: [&str; 7] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/.cargo"),
    concat!("chat", "gpt"),
    concat!("anthro", "pic"),
    concat!("clau", "de"),
    concat!("language ", "model"),
    concat!("TO", "DO:"),
];

/// Larger files are data; the lock file, the largest text, has about 100 kB.
const LARGEST_READ_BYTES: u64 = 1_000_000;

fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for word in FORBIDDEN {
            if lower.contains(&word.to_lowercase()) {
                found.push(format!("{path}:{}: contains {word:?}", number + 1));
            }
        }
    }
    found
}

#[test]
fn no_file_names_a_persons_machine_or_how_it_was_written() {
    let mut found = Vec::new();
    for path in all_files() {
        if path.metadata().unwrap().len() <= LARGEST_READ_BYTES {
            found.extend(violations(&relative(&path), &String::from_utf8_lossy(&fs::read(&path).unwrap())));
        }
    }
    assert_none(&found);
}

#[test]
fn the_rule_notices_a_forbidden_word_in_any_case() {
    let text = format!("fine\nsee {}x\n{}", FORBIDDEN[0], FORBIDDEN[2].to_uppercase());
    assert_eq!(violations("a", &text).len(), 2);
}
