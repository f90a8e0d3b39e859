//! The controller's own certificate: made by the controller, renewed by itself, swapped in under the live listener.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{ParseError, Timestamp};
use patchwave_common::runtime::atomic_file::{self, MODE_SECRET, SMALL_FILE_MAX_BYTES};
use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::tls::{KeySlot, PeerCertificate, PeerIdentity, certified_key, server_names};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::sign::CertifiedKey;

use super::{Authority, Issued, PkiError, SERVER_LIFETIME};
use crate::records::CertificateRecord;

/// How often the certificate's age is looked at. The civil clock may be stepped, so one long sleep until the due instant would miss it;
/// an hour is nothing against the thirty days between two thirds of its life and its end.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Bound on names: a certificate travels in every handshake.
const MAX_NAMES: usize = 32;

/// The names at which agents and operators reach the controller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerNames {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl ServerNames {
    /// Sorts names into DNS names and IP addresses, each once; at least one, at most 32.
    pub fn parse<Text: AsRef<str>>(names: impl IntoIterator<Item = Text>) -> Result<Self, PkiError> {
        let mut parsed = Self::default();
        for name in names {
            let name = name.as_ref().trim();
            match name.parse::<IpAddr>() {
                Ok(address) => parsed.addresses.push(address),
                Err(_) if is_dns_name(name) => parsed.dns.push(name.to_ascii_lowercase()),
                Err(_) => return Err(ParseError::new("server name", name, "a DNS name or an IP address, without port").into()),
            }
        }
        parsed.dns.sort();
        parsed.dns.dedup();
        parsed.addresses.sort();
        parsed.addresses.dedup();
        match parsed.dns.len() + parsed.addresses.len() {
            1..=MAX_NAMES => Ok(parsed),
            count => Err(ParseError::new("list of server names", &format!("{count} names"), "1 to 32 names").into()),
        }
    }

    /// As text, sorted, as [`server_names`] reads them from a certificate.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.dns.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect();
        texts.sort();
        texts
    }

    pub(super) fn alternative_names(&self) -> Result<Vec<SanType>, PkiError> {
        let dns = self.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        dns.chain(self.addresses.iter().map(|address| Ok(SanType::IpAddress(*address)))).collect()
    }
}

/// A host name as certificates hold it; wildcards are not for us.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The controller's certificate, its file, and the slot from which the listener takes it.
#[derive(Debug)]
pub struct ServerCertificate {
    path: PathBuf,
    authority: Arc<Authority>,
    names: ServerNames,
    slot: Arc<KeySlot>,
}

impl ServerCertificate {
    /// Makes a key and a certificate and writes both to `path`.
    pub(super) fn make(path: &Path, authority: &Authority, names: &ServerNames, now: Timestamp) -> Result<Issued, PkiError> {
        Self::write(path, &Self::draft(authority, names, now)?)
    }

    /// Takes up the certificate at `path`. If it is missing, expired, of another authority or for other names, a new one is made; then the
    /// second value is what the store must record.
    pub fn open(
        path: &Path,
        authority: Arc<Authority>,
        names: ServerNames,
        now: Timestamp,
    ) -> Result<(Self, Option<CertificateRecord>), PkiError> {
        let slot = KeySlot::new(None);
        let server = Self { path: path.to_owned(), authority, names, slot };
        let record = match server.read() {
            Ok(Some(key)) if server.fits(&key, now) => {
                server.slot.replace(key);
                None
            }
            Ok(_) | Err(PkiError::Material { .. }) => Some(server.renew(now)?.record),
            Err(error) => return Err(error),
        };
        Ok((server, record))
    }

    /// What the listener uses.
    #[must_use]
    pub fn slot(&self) -> Arc<KeySlot> {
        Arc::clone(&self.slot)
    }

    /// When the present certificate is to be renewed.
    #[must_use]
    pub fn renew_at(&self) -> Option<Timestamp> {
        self.present().map(|certificate| certificate.renew_at())
    }

    /// Renews if the time has come: on disk first, then in the slot. Gives what the store must record.
    pub fn renew_if_due(&self, now: Timestamp) -> Result<Option<CertificateRecord>, PkiError> {
        if self.renew_at().is_some_and(|due| now < due) { Ok(None) } else { self.renew(now).map(|issued| Some(issued.record)) }
    }

    /// Renews for ever; drop the future to stop. Where a renewal fails, the present certificate stays and the next look tries again.
    /// `record` stores what was given out.
    pub async fn keep_fresh<Error: std::fmt::Display>(
        self: Arc<Self>,
        clock: Arc<dyn Clock>,
        record: impl AsyncFnMut(CertificateRecord) -> Result<(), Error>,
    ) {
        self.keep_fresh_every(CHECK_INTERVAL, clock, record).await;
    }

    pub(super) async fn keep_fresh_every<Error: std::fmt::Display>(
        self: Arc<Self>,
        interval: Duration,
        clock: Arc<dyn Clock>,
        mut record: impl AsyncFnMut(CertificateRecord) -> Result<(), Error>,
    ) {
        loop {
            tokio::time::sleep(interval).await;
            let (server, now) = (Arc::clone(&self), clock.now());
            match tokio::task::spawn_blocking(move || server.renew_if_due(now)).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(issued))) => {
                    tracing::info!(serial = %issued.serial, not_after = %issued.not_after, "renewed the controller's certificate");
                    if let Err(error) = record(issued).await {
                        tracing::error!(%error, "cannot record the controller's new certificate");
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, "cannot renew the controller's certificate"),
                Err(error) => tracing::error!(%error, "the renewal of the controller's certificate broke"),
            }
        }
    }

    fn renew(&self, now: Timestamp) -> Result<Issued, PkiError> {
        let issued = Self::make(&self.path, &self.authority, &self.names, now)?;
        if let Some(key) = self.read()? {
            self.slot.replace(key);
        }
        Ok(issued)
    }

    fn draft(authority: &Authority, names: &ServerNames, now: Timestamp) -> Result<(KeyPair, Issued), PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let issued = authority.issue_server(&key, names, SERVER_LIFETIME, now)?;
        Ok((key, issued))
    }

    fn write(path: &Path, (key, issued): &(KeyPair, Issued)) -> Result<Issued, PkiError> {
        atomic_file::write(path, (key.serialize_pem() + &issued.chain_pem).as_bytes(), MODE_SECRET)?;
        Ok(issued.clone())
    }

    fn read(&self) -> Result<Option<Arc<CertifiedKey>>, PkiError> {
        match atomic_file::read_secret(&self.path, SMALL_FILE_MAX_BYTES) {
            Ok(pem) => certified_key(&pem, &pem).map(Some).map_err(|source| PkiError::Material { path: self.path.clone(), source }),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn present(&self) -> Option<PeerCertificate> {
        self.slot.current().and_then(|key| key.cert.first().and_then(|certificate| PeerCertificate::parse(certificate).ok()))
    }

    /// Whether a certificate on disk is the one that this configuration would make.
    fn fits(&self, key: &CertifiedKey, now: Timestamp) -> bool {
        let Some(Ok(certificate)) = key.cert.first().map(PeerCertificate::parse) else { return false };
        certificate.identity == PeerIdentity::Controller
            && certificate.trust_domain == *self.authority.trust_domain()
            && key.cert.get(1) == Some(self.authority.certificate())
            && !certificate.expired_at(now)
            && key.cert.first().and_then(|certificate| server_names(certificate).ok()) == Some(self.names.texts())
    }
}
