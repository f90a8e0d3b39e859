//! Certificates, and the PEM around them: read once their signature held, but a library's mistake must not end the process.
//!
//! Holds: a certificate names exactly one party by a URI that is written as it was read; renewal lies within its life; of an authority the
//! trust domain is well-formed. The first byte chooses DER or PEM.

use patchwave_common::runtime::tls::{
    AuthorityCertificate, KeyRequest, PeerCertificate, PeerIdentity, certificates_from_pem, server_names,
};
use rustls_pki_types::CertificateDer;

use crate::clean::assert_fit;
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    match pieces::choice(data, 2) {
        Some((0, der)) => certificate(&CertificateDer::from(der)),
        Some((_, pem)) => match certificates_from_pem(pem) {
            Ok(chain) => chain.iter().for_each(certificate),
            Err(error) => assert_fit(&error.to_string(), 500),
        },
        None => {}
    }
}

fn certificate(der: &CertificateDer<'_>) {
    match PeerCertificate::parse(der) {
        Ok(parsed) => {
            let uri = parsed.identity.uri(&parsed.trust_domain);
            assert_eq!(PeerIdentity::parse_uri(&uri), Ok((parsed.trust_domain.clone(), parsed.identity.clone())));
            let renewal = parsed.renew_at();
            assert!(renewal >= parsed.not_before && (renewal <= parsed.not_after || parsed.not_after < parsed.not_before));
            let _ = (parsed.expired_at(parsed.not_before), parsed.expired_at(parsed.not_after));
        }
        Err(error) => assert_fit(&error.to_string(), 1000),
    }
    if let Err(error) = AuthorityCertificate::parse(der) {
        assert_fit(&error.to_string(), 1000);
    }
    for name in server_names(der).unwrap_or_default() {
        assert!(name.len() <= der.len());
    }
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
    let made = |names: Vec<rcgen::SanType>| {
        let key = rcgen::KeyPair::from_pem(&KeyRequest::new().unwrap().key_pem).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&key).unwrap()
    };
    let host = made(vec![uri("spiffe://fleet.example/host/h-7k2m")]);
    let server = made(vec![
        uri("spiffe://fleet.example/controller"),
        rcgen::SanType::DnsName("controller.example".try_into().unwrap()),
        rcgen::SanType::IpAddress([127, 0, 0, 1].into()),
    ]);
    let authority = made(vec![uri("spiffe://fleet.example")]);
    let two = made(vec![uri("spiffe://a/host/a"), uri("spiffe://a/operator/b")]);
    let mut seeds: Vec<Vec<u8>> = [&host, &server, &authority, &two].map(|made| [&[0], made.der().as_ref()].concat()).to_vec();
    seeds.push([b"\x01".as_slice(), host.pem().as_bytes(), authority.pem().as_bytes()].concat());
    seeds
}
