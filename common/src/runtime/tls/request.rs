//! A new key and the request to certify it. The key is made where it is used and never travels.

use rcgen::{CertificateParams, KeyPair};

/// A private key and the request that proves its possession.
pub struct KeyRequest {
    /// The private key, PKCS#8 in PEM. A secret.
    pub key_pem: String,
    /// The request, PKCS#10 in DER. It asks for no name: the authority decides what the certificate says.
    pub request_der: Vec<u8>,
}

impl std::fmt::Debug for KeyRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyRequest")
    }
}

/// The key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a key: {0}")]
pub struct KeyRequestError(#[from] rcgen::Error);

impl KeyRequest {
    /// A new ECDSA P-256 key.
    pub fn new() -> Result<Self, KeyRequestError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let request = CertificateParams::default().serialize_request(&key)?;
        Ok(Self { key_pem: key.serialize_pem(), request_der: request.der().to_vec() })
    }
}
