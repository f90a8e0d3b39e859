//! Renewal: a new key and a new certificate, before the old one ends, or up to 90 days after.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::retry::Retry;
use patchwave_common::runtime::tls::{KeyRequest, certified_key, connect};
use patchwave_proto::fleet::v1::{RenewRequest, agent_service_client::AgentServiceClient};
use tokio::sync::watch;

use super::{HostIdentity, HostIdentityError, IdentityStore, Stored, refused};

/// Time for the controller's answer: it writes to disk once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the certificate's age is looked at: the civil clock may be stepped, so no long sleep. At two thirds of thirty days an hour is
/// nothing; for the short lives of tests and demonstrations the look comes at a tenth of the certificate's life.
const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(3600);
const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Renews once, over a connection of its own: the present certificate proves who asks, also when it has expired. On success the new
/// identity is on disk and every connection made from now on presents it.
pub async fn renew(store: &IdentityStore, identity: &HostIdentity, url: &str) -> Result<HostIdentity, HostIdentityError> {
    let key = KeyRequest::new()?;
    let channel = connect(url, identity.tls()).await?;
    let mut request = tonic::Request::new(RenewRequest { certificate_request: key.request_der });
    request.set_timeout(ANSWER_TIMEOUT);
    let answer = AgentServiceClient::new(channel).renew(request).await.map_err(|status| refused(&status))?.into_inner();

    let old = &identity.stored;
    let stored = Stored {
        url: old.url.clone(),
        mode: old.mode,
        authority: old.authority.clone(),
        certificate: answer.certificate_chain,
        key: key.key_pem,
    };
    let fresh = HostIdentity::assemble(stored).map_err(|reason| HostIdentityError::Answer { reason })?;
    if fresh.id != identity.id {
        return Err(HostIdentityError::Answer { reason: format!("it certifies {} instead of {}", fresh.id, identity.id) });
    }
    // On disk before it is used: should the agent stop here, it comes back with the new pair.
    store.save(&fresh.stored)?;
    identity.tls.replace_key(certified_key(fresh.stored.certificate.as_bytes(), fresh.stored.key.as_bytes())?);
    Ok(HostIdentity { tls: identity.tls.clone(), ..fresh })
}

/// Keeps the certificate of a running agent fresh.
pub struct Keeper {
    store: IdentityStore,
    clock: Arc<dyn Clock>,
    url: String,
    identity: Mutex<HostIdentity>,
    renewed: watch::Sender<u64>,
    /// The one that renews: the timer and a session that finds its certificate expired may come at once.
    renewing: tokio::sync::Mutex<()>,
}

impl Keeper {
    /// Keeps `identity` fresh at the controller at `url`.
    #[must_use]
    pub fn new(store: IdentityStore, identity: HostIdentity, url: String, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            url,
            identity: Mutex::new(identity),
            renewed: watch::Sender::new(0),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    /// The identity as it is now.
    #[must_use]
    pub fn identity(&self) -> HostIdentity {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts renewals; a change means that the session should reconnect when it is convenient: a stream proves only the certificate that
    /// it was opened with.
    #[must_use]
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.renewed.subscribe()
    }

    /// Whether the certificate has expired: then only renewal is of use, and a session would be refused.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.identity().certificate.expired_at(self.clock.now())
    }

    /// Renews if two thirds of the certificate's life are over; tells whether it did.
    pub async fn renew_if_due(&self) -> Result<bool, HostIdentityError> {
        let _alone = self.renewing.lock().await;
        let present = self.identity();
        if self.clock.now() < present.certificate.renew_at() {
            return Ok(false);
        }
        let fresh = renew(&self.store, &present, &self.url).await?;
        tracing::info!(not_after = %fresh.certificate.not_after, "renewed the host's certificate");
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        self.renewed.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// Looks and renews for ever; drop the future to stop. A refusal is retried like a failure, only as often as the age is looked at: an
    /// operator may undo its cause, and there is nothing better to do.
    pub async fn run(&self) {
        let mut retry = Retry::new();
        loop {
            let wait = match self.renew_if_due().await {
                Ok(_) => {
                    retry.reset();
                    self.check_interval()
                }
                Err(error) => {
                    let delay = if error.is_transient() { retry.next_delay() } else { self.check_interval() };
                    tracing::warn!(%error, retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), "cannot renew the certificate");
                    delay
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn check_interval(&self) -> Duration {
        let certificate = self.identity().certificate;
        (certificate.not_after.since(certificate.not_before) / 10).clamp(CHECK_INTERVAL_MIN, CHECK_INTERVAL_MAX)
    }
}
