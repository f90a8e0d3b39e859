//! Handshakes and calls with certificates that open nothing.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use patchwave::pki::Authority;
use patchwave_common::domain::FromAgent;
use patchwave_common::runtime::tls::{TrustDomain, certified_key};
use patchwave_tests::load::{Certificates, Link, hello, host_id, now};
use rustls::ClientConfig;
use rustls::sign::CertifiedKey;

use super::crowd::{PATIENCE, each, from, many};
use super::ground::{FIRST, Ground, flood};

/// Callers of each kind.
const CALLERS: u32 = 500;
/// At once: more than the processors can serve, fewer than strangers of eight addresses may have.
const AT_ONCE: usize = 128;
/// 128 handshakes and connections of at most 100 KiB each (TLS buffers, HTTP/2, a call) are 12 MiB; the rest is the allocator's.
const GROWS_MIB: u64 = 32;

/// A certificate that its own key signed.
fn self_signed() -> Result<Arc<CertifiedKey>> {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["h-0".to_owned()])?;
    Ok(certified_key(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes())?)
}

/// What each kind connects with, by name.
fn kinds(ground: &Ground) -> Result<Vec<(&'static str, Arc<ClientConfig>)>> {
    let ours = &ground.certificates;
    let (foreign, _) = Authority::create(&TrustDomain::parse("load.test")?, now())?;
    let foreign = Certificates::new(foreign, now())?;
    let retired = host_id(FIRST)?;
    ground.operate(&["host", "retire", retired.as_str(), "--reason", "its key was stolen", "--yes"])?;
    Ok(vec![
        ("none", ours.client(None)?),
        ("self-signed", ours.client(Some(self_signed()?))?),
        ("of another fleet", ours.client(Some(foreign.key(FIRST)?))?),
        ("revoked", ours.agent(FIRST)?),
    ])
}

#[test]
fn callers_with_bad_certificates_are_refused_and_disturb_nobody() -> Result<()> {
    flood("bad certificates", GROWS_MIB, async |ground| {
        let kinds = kinds(ground)?;
        let callers = many(CALLERS) * kinds.len() as u32;
        let refused = each(callers, AT_ONCE, async |number| {
            let (kind, tls) = &kinds[number as usize % kinds.len()];
            let first = FromAgent::Hello(Box::new(hello(FIRST, &ground.content, ground.content.inventory.digest(), now())?));
            let calling = async {
                let mut link = Link::stream(tls.clone(), from(number), ground.address(), &first).await?;
                link.hear().await
            };
            let answer = tokio::time::timeout(PATIENCE, calling).await.with_context(|| format!("no answer to a certificate: {kind}"))?;
            ensure!(answer.is_err(), "let in with a certificate: {kind}");
            Ok(())
        });
        refused.await.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(format!("{callers} callers of {} kinds were refused", kinds.len()))
    })
}
