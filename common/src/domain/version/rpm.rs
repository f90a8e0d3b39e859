//! Order of RPM packages' versions: `[epoch:]version[-release]` (EVR), a missing epoch is 0, a missing release comes before every other.
//!
//! What `rpm -q` prints is read as well: with the package's name before it (NEVRA), names order first, and an architecture at the end
//! orders as the end of the release, which it looks like. Neither version nor release can hold a `-`, so a second one ends a name.
//!
//! Segments are compared by the crate `rpm-version` 0.5, by the maintainer of the crate `rpm`: it agrees with all known comparisons, depends on
//! nothing and takes numbers of any length. Its own reading of names is not used: it takes the last part of `2.0` for an architecture.

use std::cmp::Ordering;

use rpm_version::Evr;

/// A version taken apart.
pub(super) struct Rpm<'a> {
    name: &'a str,
    evr: Evr<'a>,
}

impl Ord for Rpm<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name).then_with(|| self.evr.cmp(&other.evr))
    }
}

impl PartialOrd for Rpm<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By order, not by text: `1.01` is `0:1.1`.
impl PartialEq for Rpm<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rpm<'_> {}

/// Takes `[name-][epoch:]version[-release]` apart.
pub(super) fn parse(text: &str) -> Result<Rpm<'_>, &'static str> {
    let (rest, release) = text.rsplit_once('-').map_or((text, None), |(rest, release)| (rest, Some(release)));
    let (name, version) = rest.rsplit_once('-').map_or(("", rest), |(name, version)| (name, version));
    if release.is_some_and(str::is_empty) {
        return Err("nothing stands after the last '-'");
    }
    let (epoch, version) = match version.split_once(':') {
        None => ("", version),
        Some((epoch, version)) => {
            super::number::Number::parse(epoch).ok_or("what stands before the first ':' is no number")?;
            (epoch, version)
        }
    };
    if version.is_empty() {
        return Err("nothing stands where the version should");
    }
    if name.contains(':') {
        return Err("an epoch stands before the version, not before the package's name");
    }
    Ok(Rpm { name, evr: Evr::new(epoch, version, release.unwrap_or_default()) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn epoch_then_version_then_release_decide() {
        let ascending = ["1.0~rc1-9", "1.0", "1.0-1", "1.0-1.fc40", "1.0-2", "1.0-10", "1.0^git1-1", "1.0.1-1", "1.1-1", "1:0-1"];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(parse(left).unwrap().cmp(&parse(right).unwrap()), index.cmp(&other), "{left} against {right}");
            }
        }
        assert!(parse("0:1.0-1").unwrap() == parse("1.00-01").unwrap());
    }

    #[test]
    fn a_name_before_the_version_is_read_and_orders_first() {
        assert!(parse("glibc-common-2.17-317.el7.x86_64").unwrap() == parse("glibc-common-0:2.17-317.el7.x86_64").unwrap());
        assert!(parse("bash-9-9").unwrap() < parse("zlib-1:1-1").unwrap());
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for refused in ["-", "1-", "-1", "a:1-1", ":1", "1:", "1:bash-5.1-1"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}
