//! What somebody without a certificate may send: a join token, a certificate request (PKCS#10), facts.
//!
//! Holds: a token has one reading in any letter case and never shows its secret; a request whose key is taken is of the one kind that is
//! taken, and its bytes are read alike again; facts are clean and bounded. Nothing here costs more than the request's own bound.

use patchwave::fuzzing;
use patchwave::pki::PresentedToken;
use patchwave_common::runtime::tls::KeyRequest;
use patchwave_proto::agent::decode_facts;
use patchwave_proto::agent::encode_facts;
use patchwave_proto::fleet::v1::EnrollRequest;
use prost::Message as _;

use super::samples;
use crate::clean::{assert_clean, assert_fit};

/// See the module.
pub fn run(data: &[u8]) {
    let Ok(request) = EnrollRequest::decode(data) else { return };
    if let Ok(token) = PresentedToken::parse(&request.token) {
        assert_eq!(PresentedToken::parse(&request.token.to_ascii_uppercase()), Ok(token.clone()));
        let secret = request.token.trim().rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        assert!(!format!("{token:?}").to_ascii_lowercase().contains(&secret));
    }
    match fuzzing::requested_key(&request.certificate_request) {
        Ok(point) => assert!(point.len() == 65 && fuzzing::requested_key(&request.certificate_request) == Ok(point)),
        Err(error) => assert_fit(&error, 400),
    }
    let facts = decode_facts(request.facts.unwrap_or_default());
    assert_clean(&facts);
    assert_eq!(decode_facts(encode_facts(&facts)), facts);
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let request = KeyRequest::new().unwrap();
    let good = EnrollRequest {
        token: format!("pw1.t-ab2c.{}", "abcdefghijklmnopqrstuvwxyz234567".repeat(2).get(..52).unwrap()),
        certificate_request: request.request_der.clone(),
        facts: Some(encode_facts(&samples::facts())),
    };
    let bare = EnrollRequest { facts: None, ..good.clone() };
    let no_key = EnrollRequest { certificate_request: Vec::new(), facts: None, ..good.clone() };
    [good, bare, no_key].iter().map(|request| request.encode_to_vec()).collect()
}
