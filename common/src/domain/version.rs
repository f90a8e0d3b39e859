//! Order of Debian package versions (deb-version(7)): `[epoch:]upstream[-revision]`, `~` before everything, letters before other characters.

use std::cmp::Ordering;

/// Compares two Debian versions as `dpkg --compare-versions` does. Total over all strings; nothing is rejected here.
#[must_use]
pub fn compare_debian(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_rest) = split_epoch(left);
    let (right_epoch, right_rest) = split_epoch(right);
    let (left_upstream, left_revision) = left_rest.rsplit_once('-').unwrap_or((left_rest, ""));
    let (right_upstream, right_revision) = right_rest.rsplit_once('-').unwrap_or((right_rest, ""));
    compare_digits(left_epoch, right_epoch)
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

fn split_epoch(version: &str) -> (&str, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("", version),
    }
}

/// Weight of a byte in a non-digit run; the end of the string (and the start of a digit run) weighs 0, `~` less.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    let digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    while !left.is_empty() || !right.is_empty() {
        while (!left.is_empty() && !digit(left)) || (!right.is_empty() && !digit(right)) {
            let order = weight(left.first().copied()).cmp(&weight(right.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let run = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (left_run, right_run) = (run(left), run(right));
        let order = compare_digit_bytes(&left[..left_run], &right[..right_run]);
        if order != Ordering::Equal {
            return order;
        }
        left = &left[left_run..];
        right = &right[right_run..];
    }
    Ordering::Equal
}

fn compare_digits(left: &str, right: &str) -> Ordering {
    compare_digit_bytes(left.as_bytes(), right.as_bytes())
}

/// Numbers of any length, compared without converting them: no overflow to fear.
fn compare_digit_bytes(left: &[u8], right: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len());
    let (left, right) = (&left[significant(left)..], &right[significant(right)..]);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use super::*;

    #[test]
    fn versions_order_as_deb_version_says() {
        let ascending = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0",
            "1.0-0a",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0a",
            "1.0+x",
            "1.2",
            "1.10",
            "1:0.1",
            "10:0",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare_debian(left, right), index.cmp(&other), "{left} against {right}");
            }
        }
        assert_eq!(compare_debian("1.0", "0:1.0-0"), Ordering::Equal);
        assert_eq!(compare_debian("1.0001", "1.1"), Ordering::Equal);
    }

    #[test]
    fn every_row_of_the_debian_test_data_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/versions");
        let mut rows = 0;
        let Ok(files) = std::fs::read_dir(folder) else {
            eprintln!("LEFT OUT: {folder} is absent, so dpkg's own version rows were not tried");
            return;
        };
        for path in files.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.contains("deb") && !name.contains("dpkg") && !name.contains("apt") {
                continue;
            }
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let mut words = line.split_whitespace();
                let (Some(left), Some(operator), Some(right)) = (words.next(), words.next(), words.next()) else {
                    continue;
                };
                let wanted = match operator {
                    "<" | "lt" => Ordering::Less,
                    "=" | "eq" | "==" => Ordering::Equal,
                    ">" | "gt" => Ordering::Greater,
                    _ => continue,
                };
                assert_eq!(compare_debian(left, right), wanted, "{name}: {line}");
                rows += 1;
            }
        }
        assert!(rows > 0, "the data folder has no row for Debian");
    }
}
