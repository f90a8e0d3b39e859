//! Operator contexts: which controller, and who the operator is there.
//!
//! A *context* is one file of the operator, `$XDG_CONFIG_HOME/patchwave/contexts/NAME` (0600, in directories of 0700): the controller's
//! URL, the authority's certificate that it is pinned to, the operator's certificate and private key. `current` beside the directory
//! holds the name of the context that commands use when none is named.

use std::path::{Path, PathBuf};

use patchwave_common::domain::{OperatorName, ParseError, Timestamp};
use patchwave_common::runtime::atomic_file::{self, FileError, MODE_SECRET, SMALL_FILE_MAX_BYTES};
use patchwave_common::runtime::tls::{
    ClientTls, ConnectError, IdentityError, PeerCertificate, PeerIdentity, TlsError, certificates_from_pem, certified_key, connect,
    endpoint,
};
use tonic::transport::Channel;

use crate::pki::renewal_window;

/// Bound on contexts: each is a controller that one person operates.
const MAX_CONTEXTS: usize = 1000;

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such context.
    #[error("there is no context \"{name}\" in {}; hint: {known}", directory.display())]
    Unknown {
        /// Its name.
        name: String,
        /// Where it was looked for.
        directory: PathBuf,
        /// The ones there are, in plain words.
        known: String,
    },
    /// None is selected.
    #[error("no context is selected; hint: run `patchwave init` on the controller, or name one with --context NAME")]
    NoneSelected,
    /// Neither variable that tells where a user's configuration lies is set.
    #[error("cannot tell where contexts lie: neither XDG_CONFIG_HOME nor HOME is set to an absolute path")]
    NoHome,
    /// The file is not a context.
    #[error("the context {} cannot be used: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A name that no context can have.
    #[error(transparent)]
    Name(#[from] ParseError),
    /// Its certificates cannot be used.
    #[error("the context's certificates cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// Its certificate names nobody.
    #[error("the context's certificate cannot be used: {0}")]
    Identity(#[from] IdentityError),
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Which controller, and who the operator is there. Holds a private key.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Context {
    /// `https://NAME:PORT`.
    pub url: String,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The operator's certificate (and what follows it in the chain), PEM.
    pub certificate: String,
    /// The operator's private key, PEM.
    pub key: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Context({})", self.url)
    }
}

impl Context {
    /// The operator's certificate: name, fleet, when it expires.
    pub fn own_certificate(&self) -> Result<PeerCertificate, ContextError> {
        let chain = certificates_from_pem(self.certificate.as_bytes())?;
        Ok(chain.first().map_or(Err(IdentityError::Unreadable), PeerCertificate::parse)?)
    }

    /// The operator's name.
    pub fn operator(&self) -> Result<OperatorName, ContextError> {
        match self.own_certificate()?.identity {
            PeerIdentity::Operator(name) => Ok(name),
            other => Err(ParseError::new("operator's certificate", &other.to_string(), "one that names an operator").into()),
        }
    }

    /// A warning to show where the certificate has expired, or does so soon enough to be renewed ([`renewal_window`]).
    #[must_use]
    pub fn expiry_warning(&self, now: Timestamp) -> Option<String> {
        let certificate = self.own_certificate().ok()?;
        let soon = renewal_window(certificate.not_after.since(certificate.not_before));
        let word = if certificate.expired_at(now) {
            "expired"
        } else if certificate.expired_at(now.plus(soon)) {
            "expires"
        } else {
            return None;
        };
        let name = self.operator().ok()?;
        Some(format!(
            "the certificate of {name} {word} at {}; an admin makes a new one: `patchwave operator create {name} --role ROLE`",
            certificate.not_after
        ))
    }

    /// What connections of this context trust and present.
    pub fn tls(&self) -> Result<ClientTls, ContextError> {
        self.operator()?;
        let authority = certificates_from_pem(self.authority.as_bytes())?.swap_remove(0);
        let key = certified_key(self.certificate.as_bytes(), self.key.as_bytes())?;
        Ok(ClientTls::pinned(&authority, self.own_certificate()?.trust_domain, Some(key))?)
    }

    /// Connects to the controller.
    pub async fn connect(&self) -> Result<Channel, ContextError> {
        Ok(connect(&self.url, &self.tls()?).await?)
    }
}

/// The contexts of one user.
#[derive(Debug, Clone)]
pub struct Contexts {
    directory: PathBuf,
}

impl Contexts {
    /// Contexts below this directory (`…/patchwave`).
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Contexts of the user that runs this process: below `$XDG_CONFIG_HOME`, or `~/.config` where that is not set.
    pub fn of_user() -> Result<Self, ContextError> {
        let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config"))).ok_or(ContextError::NoHome)?;
        Ok(Self::at(&base.join("patchwave")))
    }

    /// Writes a context, over one of the same name. Checked first, so that no file is written that cannot be used.
    pub fn save(&self, name: &str, context: &Context) -> Result<PathBuf, ContextError> {
        let path = self.path(name)?;
        endpoint(&context.url)?;
        context.tls()?;
        let text = toml::to_string(context).map_err(|error| ContextError::Malformed { path: path.clone(), reason: error.to_string() })?;
        atomic_file::private_directory(&self.directory)?;
        atomic_file::private_directory(&self.directory.join("contexts"))?;
        atomic_file::write(&path, text.as_bytes(), MODE_SECRET)?;
        Ok(path)
    }

    /// Reads a context by name, or the selected one.
    pub fn load(&self, name: Option<&str>) -> Result<Context, ContextError> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.selected()?.ok_or(ContextError::NoneSelected)?,
        };
        let path = self.path(&name)?;
        let bytes = match atomic_file::read_secret(&path, SMALL_FILE_MAX_BYTES) {
            Err(error) if error.is_not_found() => return Err(self.unknown(name)),
            read => read?,
        };
        // Only the message: TOML's full error quotes lines, and these hold a key.
        toml::from_slice(&bytes).map_err(|error| ContextError::Malformed { path, reason: error.message().to_owned() })
    }

    /// Makes a context the one that commands use when none is named.
    pub fn select(&self, name: &str) -> Result<(), ContextError> {
        if !self.path(name)?.exists() {
            return Err(self.unknown(name.to_owned()));
        }
        atomic_file::write(&self.directory.join("current"), format!("{name}\n").as_bytes(), MODE_SECRET)?;
        Ok(())
    }

    /// The selected context's name.
    pub fn selected(&self) -> Result<Option<String>, ContextError> {
        match atomic_file::read_text(&self.directory.join("current"), 1024) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of all contexts, sorted.
    pub fn list(&self) -> Result<Vec<String>, ContextError> {
        let path = self.directory.join("contexts");
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(FileError::Io { action: "read directory", path, source }.into()),
        };
        let names = entries.take(MAX_CONTEXTS).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| self.path(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }

    /// A context's name becomes a file's name, so it must not be able to leave the directory.
    fn path(&self, name: &str) -> Result<PathBuf, ContextError> {
        let good = (1..=64).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
        if good {
            Ok(self.directory.join("contexts").join(name))
        } else {
            const ALLOWED: &str = "1 to 64 letters, digits, '-', '_', '.' and '@', starting with a letter or digit";
            Err(ParseError::new("context name", name, ALLOWED).into())
        }
    }

    fn unknown(&self, name: String) -> ContextError {
        let known = match self.list() {
            Ok(names) if !names.is_empty() => format!("there are: {}", names.join(", ")),
            _ => "there is none yet; `patchwave init` makes the first".to_owned(),
        };
        ContextError::Unknown { name, directory: self.directory.join("contexts"), known }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use patchwave_common::domain::HostId;
    use patchwave_common::runtime::tls::{KeyRequest, TrustDomain};

    use super::*;
    use crate::pki::{Authority, HOST_LIFETIME, OPERATOR_LIFETIME};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn context() -> Context {
        context_for(OPERATOR_LIFETIME)
    }

    fn context_for(life: Duration) -> Context {
        let (authority, _) = Authority::create(&TrustDomain::parse("fleet").unwrap(), NOW).unwrap();
        let request = KeyRequest::new().unwrap();
        let name = OperatorName::parse("alice").unwrap();
        let issued = authority.issue_operator(&request.request_der, &name, life, NOW).unwrap();
        Context {
            url: "https://controller.example:7443".to_owned(),
            authority: authority.certificate_pem().to_owned(),
            certificate: issued.chain_pem,
            key: request.key_pem,
        }
    }

    #[test]
    fn a_saved_context_is_private_and_loads_by_name_or_by_selection() {
        let home = tempfile::tempdir().unwrap();
        let contexts = Contexts::at(&home.path().join("patchwave"));
        assert!(matches!(contexts.load(None), Err(ContextError::NoneSelected)));
        let context = context();
        let path = contexts.save("prod", &context).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        contexts.select("prod").unwrap();
        assert_eq!((contexts.load(None).unwrap(), contexts.load(Some("prod")).unwrap()), (context.clone(), context.clone()));
        assert_eq!((contexts.list().unwrap(), context.operator().unwrap().to_string()), (vec!["prod".to_owned()], "alice".to_owned()));
    }

    #[test]
    fn an_unknown_context_is_refused_with_the_ones_there_are() {
        let home = tempfile::tempdir().unwrap();
        let contexts = Contexts::at(home.path());
        contexts.save("prod", &context()).unwrap();
        for error in [contexts.select("prd").unwrap_err(), contexts.load(Some("prd")).unwrap_err()] {
            assert!(error.to_string().contains("there are: prod"), "{error}");
        }
        for name in ["", "../x", "a/b", ".hidden", "-x"] {
            assert!(matches!(contexts.load(Some(name)), Err(ContextError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_context_that_could_not_connect_is_not_saved() {
        let home = tempfile::tempdir().unwrap();
        let contexts = Contexts::at(home.path());
        let (good, other) = (context(), context());
        let plaintext = Context { url: "http://controller.example".to_owned(), ..good.clone() };
        let foreign_key = Context { key: other.key, ..good.clone() };
        let (authority, _) = Authority::create(&TrustDomain::parse("fleet").unwrap(), NOW).unwrap();
        let request = KeyRequest::new().unwrap();
        let host = authority.issue_host(&request.request_der, &HostId::parse("h-1").unwrap(), HOST_LIFETIME, NOW).unwrap();
        let of_a_host = Context { certificate: host.chain_pem, key: request.key_pem, ..good };
        for bad in [plaintext, foreign_key, of_a_host] {
            assert!(contexts.save("bad", &bad).is_err());
        }
        assert!(contexts.list().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_or_exposed_context_is_refused_without_showing_its_key() {
        let home = tempfile::tempdir().unwrap();
        let contexts = Contexts::at(home.path());
        let path = contexts.save("prod", &context()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("key = ", "kee = ")).unwrap();
        let error = contexts.load(Some("prod")).unwrap_err().to_string();
        assert!(error.contains("kee") && !error.contains("PRIVATE"), "{error}");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(contexts.load(Some("prod")).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn expiry_is_told_a_week_ahead_and_of_a_short_life_in_its_last_third() {
        let context = context();
        let after = |days: u64| context.expiry_warning(NOW.plus(Duration::from_secs(days * 86_400)));
        assert_eq!(after(300), None);
        assert_eq!(after(357), None);
        assert!(after(359).unwrap().contains("expires at") && after(359).unwrap().contains("patchwave operator create alice"));
        assert!(after(366).unwrap().contains("expired at"));
        let short = context_for(Duration::from_secs(90 * 60));
        let after = |minutes: u64| short.expiry_warning(NOW.plus(Duration::from_secs(minutes * 60)));
        assert_eq!(after(50), None);
        assert!(after(62).unwrap().contains("expires at"));
    }
}
