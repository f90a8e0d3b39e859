//! Values on the command line, checked where they are read, so that a wrong one ends with status 2 and its allowed form.

use std::collections::HashSet;
use std::time::Duration;

use clap::ValueEnum;
use patchwave_common::domain::{LabelKey, Labels, PackageName, PackageVersion, ParseError, Selector, parse_duration};

/// A bound on a version, e.g. `<3.0.22`; kept as the controller reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionBound(pub String);

/// What an operator may do; each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Reads
    Viewer,
    /// Plans and runs rollouts, labels and retires hosts, makes tokens
    Operator,
    /// Also approves rollouts of others
    Approver,
    /// Also manages operators, backups and everything else
    Admin,
}

impl Role {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// What a host agrees to when it enrols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Reports and applies patches
    Managed,
    /// Reports, and nothing more
    ReportOnly,
}

impl Mode {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::ReportOnly => "report-only",
        }
    }
}

/// Which embedded store to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum StoreKind {
    /// One file, synced on commit; refuses a damaged file
    #[default]
    Redb,
    /// A directory; synced after each flush
    Sled,
}

impl StoreKind {
    /// The name in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }
}

/// Reads a selector.
pub fn selector(text: &str) -> Result<Selector, ParseError> {
    Selector::parse(text)
}

/// Reads a span that is not zero.
pub fn duration(text: &str) -> Result<Duration, ParseError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(ParseError::new("duration", text, "more than nothing, e.g. \"1h\"")),
        span => Ok(span),
    }
}

/// Reads `key=value` and keeps its text.
pub fn label(text: &str) -> Result<String, ParseError> {
    Labels::parse_pair(text).map(|_| text.to_owned())
}

/// Reads `key=value`, or `key-` to remove, and keeps its text.
pub fn label_change(text: &str) -> Result<String, ParseError> {
    match text.strip_suffix('-') {
        Some(key) if !key.contains('=') => LabelKey::parse(key).map(|_| text.to_owned()),
        _ if text.contains('=') => label(text),
        _ => Err(ParseError::new("label change", text, "key=value sets a label, key- removes it")),
    }
}

/// Refuses to change one label twice: which of both would hold?
pub fn distinct_keys(changes: &[String]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for change in changes {
        let key = change.split_once('=').map_or_else(|| change.trim_end_matches('-'), |(key, _)| key);
        if !seen.insert(key) {
            return Err(key.to_owned());
        }
    }
    Ok(())
}

/// Reads an update to plan: `NAME`, `NAME=VERSION`, `src:NAME` or `src:NAME=VERSION`, and keeps its text.
pub fn update(text: &str) -> Result<String, ParseError> {
    let refuse = || {
        ParseError::new("update", text, "NAME, NAME=VERSION, src:NAME or src:NAME=VERSION, e.g. openssl or src:openssl=3.0.22-1~deb12u1")
    };
    let rest = text.strip_prefix("src:").unwrap_or(text);
    let (name, version) = rest.split_once('=').map_or((rest, None), |(name, version)| (name, Some(version)));
    PackageName::parse(name).map_err(|_| refuse())?;
    version.map_or(Ok(()), |version| PackageVersion::parse(version).map(drop)).map_err(|_| refuse())?;
    Ok(text.to_owned())
}

/// Reads a bound on versions: `<V`, `<=V`, `=V`, `>=V`, `>V`, or `V`, which means `=V`.
pub fn version_bound(text: &str) -> Result<VersionBound, ParseError> {
    let text = text.trim();
    let operator = ["<=", ">=", "<", ">", "="].into_iter().find(|operator| text.starts_with(operator));
    let version = text[operator.map_or(0, str::len)..].trim();
    PackageVersion::parse(version)
        .map_err(|_| ParseError::new("version bound", text, "<V, <=V, =V, >=V or >V, e.g. '<3.0.22' (quote it)"))?;
    Ok(VersionBound(format!("{}{version}", operator.unwrap_or("="))))
}

/// Reads a reason: something must be said.
pub fn reason(text: &str) -> Result<String, String> {
    const MAX_CHARS: usize = 500;
    match text.trim() {
        "" => Err("say why, in a few words; it is shown to everybody and kept".to_owned()),
        long if long.chars().count() > MAX_CHARS => Err(format!("at most {MAX_CHARS} characters")),
        fitting => Ok(fitting.to_owned()),
    }
}

/// Reads a host's id or name.
pub fn host(text: &str) -> Result<String, ParseError> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    if !text.is_empty() && text.len() <= 253 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(ParseError::new("host", text, "an id or a name, as `patchwave host list` shows them"))
    }
}

/// Reads a host's id or name, or a selector of several.
pub fn host_or_selector(text: &str) -> Result<String, ParseError> {
    if text.contains(['=', '!', ' ']) { Selector::parse(text).map(String::from) } else { host(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn label_changes_set_and_remove_and_nothing_else() {
        for good in ["ring=test", "site-", "site=ams-", "a.b/c=1"] {
            assert_eq!(label_change(good).unwrap(), good);
        }
        for bad in ["site", "", "-", "ring=fast", "=x", "a=b=c"] {
            assert!(label_change(bad).is_err(), "{bad}");
        }
        assert_eq!(distinct_keys(&["site-".into(), "site=ams".into()]), Err("site".into()));
        assert_eq!(distinct_keys(&["site-".into(), "ring=test".into()]), Ok(()));
    }

    #[test]
    fn a_version_bound_keeps_its_operator_and_a_bare_version_means_equal() {
        for (text, kept) in [("<3.0.22", "<3.0.22"), (">= 1:2~rc1", ">=1:2~rc1"), ("=1", "=1"), ("1.2-3", "=1.2-3")] {
            assert_eq!(version_bound(text).unwrap().0, kept);
        }
        for bad in ["", "<", "<>1", "<1 2", "==1"] {
            assert!(version_bound(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn updates_have_four_forms() {
        for good in ["openssl", "openssl=3.0.1-1", "src:openssl", "src:openssl=1:3~x"] {
            assert_eq!(update(good).unwrap(), good);
        }
        for bad in ["", "src:", "openssl=", "-x", "a b", "src:a=b c"] {
            assert!(update(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_of_nothing_and_a_reason_of_blanks_are_refused() {
        assert!(duration("0s").is_err());
        assert!(reason("  ").is_err());
        assert_eq!(reason(" it works again ").unwrap(), "it works again");
    }
}
