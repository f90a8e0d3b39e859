//! Fetches the archives' indexes with apt's own transports, and names the source at fault.

use super::layout::{Layout, option};
use crate::packages::{PackageError, process, redact};

/// How long fetching all indexes may take: 60 MB for Debian on a slow line.
const REFRESH_LIMIT_SECS: u64 = 900;

pub(crate) fn refresh(layout: &Layout) -> Result<(), PackageError> {
    let mut arguments = Vec::new();
    // Apt else calls it a success when an index could not be fetched and old ones were kept.
    arguments.extend(option("APT::Update::Error-Mode=any"));
    arguments.extend(["-q".to_owned(), "update".to_owned()]);
    let output = process::run(&layout.apt("apt-get", "refresh indexes", REFRESH_LIMIT_SECS, arguments))?;
    let complaint = broken_source(&output.stderr);
    match complaint {
        Some(error) if !output.status.success() || is_fetch_failure(&output.stderr) => Err(error),
        _ if output.status.success() => Ok(()),
        Some(error) => Err(error),
        None => Err(output.failure("apt-get update")),
    }
}

/// Older apt only warns of these and reports success.
fn is_fetch_failure(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with("W: Failed to fetch") || line.starts_with("W: Some index files failed"))
}

/// The first complaint that names a source, as an error.
pub(super) fn broken_source(stderr: &str) -> Option<PackageError> {
    let complaints = stderr.lines().filter(|line| line.starts_with("E: ") || line.starts_with("W: "));
    complaints.filter_map(complaint).min_by_key(|(severity, _)| *severity).map(|(_, error)| error)
}

/// The less, the more telling.
fn complaint(line: &str) -> Option<(u8, PackageError)> {
    let text = line.get(3..)?;
    if let Some(rest) = text.strip_prefix("Could not get lock ") {
        let (lock, holder) = rest.split_once(". ").unwrap_or((rest, "another program"));
        return Some((0, PackageError::LockHeld { lock: redact(lock).into(), holder: redact(holder) }));
    }
    let name = if text.starts_with("Malformed ") || text.starts_with("Type ") || text.starts_with("Unsupported file ") {
        text.split_whitespace().find(|word| word.contains("sources.list"))?
    } else {
        let start = text.find("://").map(|at| scheme_start(&text[..at])).or_else(|| text.find("file:"))?;
        // Within apt's quotes the source may have spaces (URI, suite and component), else it ends at the first.
        let end = if text[..start].ends_with('\'') { "'" } else { " " };
        text[start..].split(end).next()?
    };
    let severity = if line.starts_with("E: ") { 1 } else { 2 };
    Some((severity, PackageError::BrokenSource { name: redact(name), detail: redact(text), hint: hint(text) }))
}

/// Where the scheme at the end of `text` begins.
fn scheme_start(text: &str) -> usize {
    text.trim_end_matches(|character: char| character.is_ascii_alphanumeric() || "+-.".contains(character)).len()
}

fn hint(text: &str) -> &'static str {
    let contains = |needle: &str| text.contains(needle);
    if contains("407") {
        "the proxy wants credentials: see Acquire::http::Proxy in apt's configuration"
    } else if contains("404") || contains("does not have a Release file") {
        "the archive does not have this suite: correct or remove the source in sources.list"
    } else if contains("401") || contains("403") {
        "the archive wants credentials: see apt_auth.conf(5)"
    } else if contains("Malformed") || contains("is not known on line") || contains("Unsupported file") {
        "correct the line in this file"
    } else if contains("is not valid yet") || contains("is expired") {
        "the host's clock is off, or the mirror is stale"
    } else if contains("GPG error") || contains("not signed") || contains("NO_PUBKEY") {
        "install the archive's key and name it with signed-by"
    } else if contains("Hash Sum mismatch") || contains("unexpected size") {
        "the mirror is being updated or a proxy holds old files: try again later"
    } else {
        "is the mirror reachable from this host? `apt-get update` shows the same"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn named(stderr: &str) -> (String, String) {
        match broken_source(stderr) {
            Some(PackageError::BrokenSource { name, detail, hint }) => (name, format!("{detail} {hint}")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_source_at_fault_is_named() {
        for (stderr, name, told) in [
            (
                "E: Failed to fetch http://m/dists/x/InRelease  404  Not Found [IP: 127.0.0.1 80]",
                "http://m/dists/x/InRelease",
                "correct or remove",
            ),
            ("E: The repository 'http://m/debian nosuch Release' does not have a Release file.", "http://m/debian nosuch Release", "suite"),
            ("E: Malformed entry 3 in list file /etc/apt/sources.list (URI parse)", "/etc/apt/sources.list", "correct the line"),
            (
                "E: Type 'dep' is not known on line 1 in source list /etc/apt/sources.list.d/x.list",
                "/etc/apt/sources.list.d/x.list",
                "line",
            ),
            ("W: x\nW: Failed to fetch http://m/x  407  Proxy Authentication Required", "http://m/x", "proxy wants"),
            ("E: The repository 'file:/srv/x ./ Release' does not have a Release file.", "file:/srv/x ./ Release", "suite"),
        ] {
            let (shown, detail) = named(stderr);
            assert_eq!(shown, name);
            assert!(detail.contains(told), "{detail}");
        }
    }

    #[test]
    fn credentials_of_a_source_are_not_told() {
        let (name, detail) = named("E: Failed to fetch https://fleet:hunter2@m.example/dists/x/InRelease  401  Unauthorized");
        assert_eq!(name, "https://[hidden]@m.example/dists/x/InRelease");
        assert!(!detail.contains("hunter2") && !detail.contains("fleet"), "{detail}");
    }

    #[test]
    fn a_lock_held_by_another_is_no_broken_source() {
        let error = broken_source("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)");
        assert!(matches!(error, Some(PackageError::LockHeld { holder, .. }) if holder.contains("process 7")));
    }

    #[test]
    fn a_complaint_cannot_steer_the_terminal_of_who_reads_it() {
        for line in ["E: Could not get lock /x\u{1b}[2J\u{202e}y. held by \u{7}", "E: Failed to fetch http://m/\u{9b}31m  404 \u{1b}c"] {
            let error = broken_source(line).unwrap().to_string();
            assert!(!error.chars().any(patchwave_common::domain::steers_output), "{error:?}");
        }
        let long = broken_source(&format!("E: Could not get lock /{}", "x".repeat(1 << 20))).unwrap().to_string();
        assert!(long.len() < 5_000, "{} bytes", long.len());
    }

    proptest! {
        #[test]
        fn any_complaint_is_survived(text in "((E|W): )?(\\PC{0,80}|.{0,20}(://|file:|').{0,20})") {
            let _ = broken_source(&text);
        }
    }
}
