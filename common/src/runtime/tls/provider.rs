//! The cryptography of every connection.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// aws-lc-rs with the cipher suites of TLS 1.3 only, and the hybrid post-quantum key exchange X25519MLKEM768 preferred: what is recorded
/// today stays closed to a later quantum computer. X25519 stays for debugging tools that lack it; both of our ends have it.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)));
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    Arc::new(provider)
}
