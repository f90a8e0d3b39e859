//! Where a package's name means something.

use std::fmt;
use std::sync::Arc;

use patchwave_common::domain::version::Ecosystem;
use patchwave_common::domain::{ParseError, clean_text};

/// Longest release that is kept, in bytes; the longest that the OSV schema knows is `Enterprise Linux 9.4 Extended Update Support`-like.
const RELEASE_MAX_BYTES: usize = 96;

/// A publisher of packages that share a way of naming and of counting versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Debian, by release number.
    Debian,
    /// Ubuntu, by release number.
    Ubuntu,
    /// Ubuntu's fixes for those who subscribed (`Pro`), by release number.
    UbuntuPro,
    /// Alpine, by branch.
    Alpine,
    /// Python's package index.
    PyPi,
    /// npm's registry.
    Npm,
    /// Rust's registry.
    CratesIo,
    /// Red Hat, by product.
    RedHat,
    /// Rocky Linux, by release.
    Rocky,
    /// AlmaLinux, by release.
    Alma,
    /// SUSE, by product.
    Suse,
    /// openSUSE, by product.
    OpenSuse,
}

/// Name as the OSV schema writes it, system, whose rules order versions, and whether a release must follow.
const SYSTEMS: [(&str, System, Ecosystem, bool); 11] = [
    ("Debian", System::Debian, Ecosystem::Deb, true),
    ("Ubuntu", System::Ubuntu, Ecosystem::Deb, true),
    ("Alpine", System::Alpine, Ecosystem::Apk, true),
    ("PyPI", System::PyPi, Ecosystem::Pep440, false),
    ("npm", System::Npm, Ecosystem::Semver, false),
    ("crates.io", System::CratesIo, Ecosystem::Semver, false),
    ("Red Hat", System::RedHat, Ecosystem::Rpm, true),
    ("Rocky Linux", System::Rocky, Ecosystem::Rpm, true),
    ("AlmaLinux", System::Alma, Ecosystem::Rpm, true),
    ("SUSE", System::Suse, Ecosystem::Rpm, true),
    ("openSUSE", System::OpenSuse, Ecosystem::Rpm, true),
];

/// A system and its release; the release is empty where the system has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    system: System,
    release: Arc<str>,
}

impl Space {
    /// The spaces in which a host's packages are looked for, by `ID` and `VERSION_ID` of its os-release; none where no feed speaks of it yet.
    #[must_use]
    pub fn of_host(os: &str, release: &str) -> Option<Self> {
        let system = match os {
            "debian" => System::Debian,
            "ubuntu" => System::Ubuntu,
            _ => return None,
        };
        let whole = !release.is_empty() && release.len() <= RELEASE_MAX_BYTES && release.bytes().all(|byte| byte.is_ascii_graphic());
        whole.then(|| Self { system, release: release.into() })
    }

    /// Reads an ecosystem as the OSV schema writes it, e.g. `Debian:12` or `Ubuntu:22.04:LTS`. `None` for one that is not matched: another
    /// publisher, or a distribution without a release, which speaks of no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, release) = text.split_once(':').unwrap_or((text, ""));
        let (_, mut system, _, with_release) = *SYSTEMS.iter().find(|(known, ..)| *known == name)?;
        if !with_release {
            return Some(Self { system, release: "".into() });
        }
        let mut release = release;
        if system == System::Ubuntu {
            release = release.strip_suffix(":LTS").unwrap_or(release);
            // `Pro`, `Pro:FIPS-updates` and the like: none of them is what an archive gives to everybody.
            if let Some(pro) = release.strip_prefix("Pro:") {
                (system, release) = (System::UbuntuPro, pro);
            }
        }
        let plain = !release.is_empty()
            && release.len() <= RELEASE_MAX_BYTES
            && release.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        plain.then(|| Self { system, release: release.into() })
    }

    /// Reads what an operator writes for a host: `debian:12`, `ubuntu:22.04`.
    pub fn parse_os(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::new("operating system", text, "a system and its release, e.g. debian:12 or ubuntu:22.04");
        let (os, release) = text.split_once(':').ok_or_else(refuse)?;
        Self::of_host(os, release).ok_or_else(refuse)
    }

    /// Whose packages.
    #[must_use]
    pub fn system(&self) -> System {
        self.system
    }

    /// The release; empty where the system has none.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Whose rules order its versions.
    #[must_use]
    pub fn ecosystem(&self) -> Ecosystem {
        // Ubuntu's fixes for subscribers have no row of their own: they are Debian packages too.
        SYSTEMS.iter().find(|(_, known, ..)| *known == self.system).map_or(Ecosystem::Deb, |(_, _, ecosystem, _)| *ecosystem)
    }

    /// A name in the space's normal form; PyPI's by PEP 503. Bounded and clean.
    #[must_use]
    pub fn normal_name(&self, name: &str) -> Arc<str> {
        /// npm's names have at most 214 characters, Debian's far fewer.
        const NAME_MAX_CHARS: usize = 256;
        let name = clean_text(name.trim(), NAME_MAX_CHARS);
        if self.system != System::PyPi {
            return name.into();
        }
        let mut normal = String::with_capacity(name.len());
        for character in name.chars() {
            match character {
                '-' | '_' | '.' if normal.ends_with('-') => {}
                '-' | '_' | '.' => normal.push('-'),
                other => normal.extend(other.to_lowercase()),
            }
        }
        normal.into()
    }
}

impl fmt::Display for Space {
    /// As the OSV schema writes it, e.g. `Debian:12`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = if self.system == System::UbuntuPro { System::Ubuntu } else { self.system };
        let name = SYSTEMS.iter().find(|(_, known, ..)| *known == system).map_or("", |(name, ..)| *name);
        let pro = if self.system == System::UbuntuPro { ":Pro" } else { "" };
        let colon = if self.release.is_empty() { "" } else { ":" };
        write!(formatter, "{name}{pro}{colon}{}", self.release)
    }
}
