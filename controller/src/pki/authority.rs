//! The key that signs, and what it signs.

use std::time::Duration;

use patchwave_common::domain::{Digest, HostId, OperatorName, Timestamp};
use patchwave_common::runtime::tls::{AuthorityCertificate, PeerIdentity, TrustDomain, certificates_from_pem, certified_key, fingerprint};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use super::PkiError;
use super::server::ServerNames;
use crate::records::{CertificateRecord, Serial, Subject};

/// Life of a host's certificate. Renewed at two thirds, so a host may be away for ten days without any loss, and for 90 days more it can
/// still renew; a stolen key that nobody noticed is of use for a month.
pub const HOST_LIFETIME: Duration = Duration::from_secs(30 * DAY_SECS);
/// Life of the controller's own certificate; renewed by itself at two thirds.
pub const SERVER_LIFETIME: Duration = Duration::from_secs(90 * DAY_SECS);
/// Life of an operator's certificate. People do not renew at two thirds; revocation is at once.
pub const OPERATOR_LIFETIME: Duration = Duration::from_secs(365 * DAY_SECS);
/// How long before its end an operator's certificate may be renewed, and its owner is told at every call: time to reach an admin.
const OPERATOR_RENEWAL: Duration = Duration::from_secs(7 * DAY_SECS);
/// Life of the authority. Every host pins it, so it must outlive the fleet's plans.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * DAY_SECS);
const DAY_SECS: u64 = 86_400;
/// Certificates begin this long before they are made, so that a clock that is stepped back a little, or another controller's clock, does not
/// find them not yet valid; but never more than a tenth of their life.
const BACKDATE: Duration = Duration::from_secs(3600);
/// Bound on a certificate request: one with a P-256 key and no names is about 200 bytes.
const REQUEST_MAX_BYTES: usize = 4096;
/// An uncompressed P-256 point: 0x04 and two coordinates of 32 bytes.
const P256_POINT_BYTES: usize = 65;

/// A certificate that was given out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate and then the authority's, PEM.
    pub chain_pem: String,
    /// What the store keeps of it.
    pub record: CertificateRecord,
}

/// The fleet's certificate authority.
pub struct Authority {
    trust_domain: TrustDomain,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    not_after_secs: u64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Authority({}, {})", self.trust_domain, self.fingerprint())
    }
}

/// How long before the end of a life an operator's certificate may be renewed: a week, or a third of a life that is shorter than three.
#[must_use]
pub fn renewal_window(life: Duration) -> Duration {
    OPERATOR_RENEWAL.min(life / 3)
}

/// A new host's identity: random, so that it says nothing and never comes again.
pub fn new_host_id() -> Result<HostId, PkiError> {
    // 80 bits: among a million hosts the chance of any two alike is one in a trillion, and the store refuses the second.
    Ok(HostId::parse(format!("h-{}", crate::random::base32(&rand::random::<[u8; 10]>())))?)
}

impl Authority {
    /// A new authority for a fleet, with its private key in PEM.
    pub fn create(trust_domain: &TrustDomain, now: Timestamp) -> Result<(Self, String), PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = blank(&format!("Patchwave authority of {trust_domain}"))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        let begin = seconds(now)?.saturating_sub(BACKDATE.as_secs());
        set_life(&mut params, begin, begin + AUTHORITY_LIFETIME.as_secs());
        let pem = params.self_signed(&key)?.pem();
        let key_pem = key.serialize_pem();
        Ok((Self::from_pem(&pem, &key_pem)?, key_pem))
    }

    /// Takes up an authority that was made before; refused unless key and certificate belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let path = || "the authority".into();
        let material = |source| PkiError::Material { path: path(), source };
        // Checks that the key fits the certificate.
        certified_key(certificate_pem.as_bytes(), key_pem.as_bytes()).map_err(material)?;
        let certificate = certificates_from_pem(certificate_pem.as_bytes()).map_err(material)?.swap_remove(0);
        let parsed = AuthorityCertificate::parse(&certificate).map_err(|source| PkiError::Identity { path: path(), source })?;
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::from_pem(key_pem)?)?;
        let not_after_secs = u64::try_from(parsed.not_after.0 / 1000).unwrap_or(0);
        Ok(Self { trust_domain: parsed.trust_domain, certificate, certificate_pem: certificate_pem.to_owned(), issuer, not_after_secs })
    }

    /// The fleet.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The certificate that everybody pins.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What people compare: SHA-256 of the certificate in DER.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        fingerprint(&self.certificate)
    }

    /// A host's certificate, for the key that `request_der` (PKCS#10) proves; nothing else in the request counts.
    pub fn issue_host(&self, request_der: &[u8], id: &HostId, life: Duration, now: Timestamp) -> Result<Issued, PkiError> {
        let identity = PeerIdentity::Host(id.clone());
        let params = self.leaf(id.as_str(), &identity, ExtendedKeyUsagePurpose::ClientAuth)?;
        self.sign(params, &requested_key(request_der)?, Subject::Host(id.clone()), life, now)
    }

    /// An operator's certificate, for the key that `request_der` (PKCS#10) proves; nothing else in the request counts.
    pub fn issue_operator(&self, request_der: &[u8], name: &OperatorName, life: Duration, now: Timestamp) -> Result<Issued, PkiError> {
        let identity = PeerIdentity::Operator(name.clone());
        let params = self.leaf(name.as_str(), &identity, ExtendedKeyUsagePurpose::ClientAuth)?;
        self.sign(params, &requested_key(request_der)?, Subject::Operator(name.clone()), life, now)
    }

    /// The controller's own certificate, under the names at which agents and operators reach it.
    pub(super) fn issue_server(
        &self,
        key: &impl PublicKeyData,
        names: &ServerNames,
        life: Duration,
        now: Timestamp,
    ) -> Result<Issued, PkiError> {
        let mut params = self.leaf("Patchwave controller", &PeerIdentity::Controller, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.subject_alt_names.extend(names.alternative_names()?);
        self.sign(params, key, Subject::Server, life, now)
    }

    fn leaf(&self, common_name: &str, identity: &PeerIdentity, usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams, PkiError> {
        let mut params = blank(common_name)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![SanType::URI(identity.uri(&self.trust_domain).try_into()?)];
        Ok(params)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        subject: Subject,
        life: Duration,
        now: Timestamp,
    ) -> Result<Issued, PkiError> {
        let now_secs = seconds(now)?;
        // A leaf that outlives its authority would be refused in the end anyway, by surprise.
        let end = now_secs.saturating_add(life.as_secs()).min(self.not_after_secs);
        set_life(&mut params, now_secs.saturating_sub(BACKDATE.as_secs().min(life.as_secs() / 10)), end);
        let serial_bytes: [u8; 16] = rand::random();
        let serial = Serial::from_bytes(&serial_bytes)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial_bytes));
        let certificate = params.signed_by(key, &self.issuer)?;
        let not_after = Timestamp(i64::try_from(end.saturating_mul(1000)).unwrap_or(i64::MAX));
        Ok(Issued {
            chain_pem: certificate.pem() + &self.certificate_pem,
            record: CertificateRecord { serial, subject, issued_at: now, not_after, revoked: None },
        })
    }
}

/// Parameters without the library's defaults for names.
fn blank(common_name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    // For people who look at a certificate; X.509 allows 64 characters. Identity is the URI.
    params.distinguished_name.push(DnType::CommonName, common_name.chars().take(64).collect::<String>());
    Ok(params)
}

/// The key of a request whose signature holds. Only ECDSA P-256: what our agents and command line make, and one kind less to misread.
pub(crate) fn requested_key(request_der: &[u8]) -> Result<rcgen::PublicKey, PkiError> {
    let refuse = |reason: String| PkiError::Request { reason };
    if request_der.len() > REQUEST_MAX_BYTES {
        return Err(refuse(format!("{} bytes are more than {REQUEST_MAX_BYTES}", request_der.len())));
    }
    let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request_der));
    let key = request.map_err(|error| refuse(error.to_string()))?.public_key;
    let point = key.der_bytes();
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || point.len() != P256_POINT_BYTES || point.first() != Some(&4) {
        return Err(refuse("its key is not ECDSA P-256".to_owned()));
    }
    Ok(key)
}

/// Seconds since 1970, of a clock that can be right: after 2020 and before 2100. A certificate made with a clock at 1970 would be
/// worthless the moment the clock is set.
fn seconds(now: Timestamp) -> Result<u64, PkiError> {
    const YEAR_2020: u64 = 1_577_836_800;
    const YEAR_2100: u64 = 4_102_444_800;
    match u64::try_from(now.0.div_euclid(1000)) {
        Ok(seconds) if (YEAR_2020..YEAR_2100).contains(&seconds) => Ok(seconds),
        _ => Err(PkiError::Clock { instant: now }),
    }
}

/// Validity from one second since 1970 to another, both included.
fn set_life(params: &mut CertificateParams, begin: u64, end: u64) {
    let instant = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    (params.not_before, params.not_after) = (instant(begin), instant(end));
}
