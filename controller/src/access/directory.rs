//! Who is who, in memory, so that each request is checked without a read of the disk.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_common::runtime::tls::{PeerCertificate, PeerIdentity};

use super::{Caller, Refusal};
use crate::fleet::Fleet;
use crate::records::{HostState, OperatorRecord, OperatorRole, Serial};
use crate::store::{MAX_PAGE, StoreError, StoreRead};

/// An expired host certificate may renew for so long: a laptop comes back from a drawer.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(90 * 86_400);

/// The directory.
#[derive(Debug)]
pub struct Directory {
    fleet: Arc<Fleet>,
    operators: RwLock<HashMap<OperatorName, OperatorRole>>,
    revoked: RwLock<HashSet<Serial>>,
}

impl Directory {
    /// Reads operators and revocations from the store.
    pub fn load(fleet: Arc<Fleet>, store: &dyn StoreRead) -> Result<Self, StoreError> {
        let directory = Self { fleet, operators: RwLock::default(), revoked: RwLock::default() };
        let mut after = None;
        loop {
            let page = store.operators(after.as_ref(), MAX_PAGE)?;
            page.iter().for_each(|record| directory.put_operator(record));
            if page.len() < MAX_PAGE {
                break;
            }
            after = page.last().map(|record| record.name.clone());
        }
        let mut after = None;
        loop {
            let page = store.certificates(after.as_ref(), MAX_PAGE)?;
            page.iter().filter(|record| record.revoked.is_some()).for_each(|record| directory.revoke(&record.serial));
            if page.len() < MAX_PAGE {
                return Ok(directory);
            }
            after = page.last().map(|record| record.serial.clone());
        }
    }

    /// An operator was made, changed or revoked.
    pub fn put_operator(&self, record: &OperatorRecord) {
        let mut operators = self.operators.write().unwrap_or_else(PoisonError::into_inner);
        if record.revoked_at.is_some() {
            operators.remove(&record.name);
            record.certificates.iter().for_each(|serial| self.revoke(serial));
        } else {
            operators.insert(record.name.clone(), record.role);
        }
    }

    /// A certificate opens nothing from now on.
    pub fn revoke(&self, serial: &Serial) {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(serial.clone());
    }

    /// Whether a certificate was revoked.
    #[must_use]
    pub fn is_revoked(&self, serial: &Serial) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(serial)
    }

    /// Who shows this certificate, now.
    pub fn caller(&self, certificate: Option<&PeerCertificate>, now: Timestamp) -> Result<Caller, Refusal> {
        let Some(certificate) = certificate else { return Ok(Caller::Anonymous) };
        let revoked = Serial::from_bytes(&certificate.serial).map_or(true, |serial| self.is_revoked(&serial));
        let expired = certificate.expired_at(now);
        match &certificate.identity {
            PeerIdentity::Controller => Err(Refusal::NotACaller),
            PeerIdentity::Operator(name) => {
                let role = self.operators.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
                match role {
                    _ if revoked => Err(Refusal::Revoked),
                    None => Err(Refusal::Unknown(format!("operator {name}"))),
                    Some(_) if expired => Err(Refusal::OperatorExpired),
                    Some(role) => Ok(Caller::Operator { name: name.clone(), role }),
                }
            }
            PeerIdentity::Host(id) => {
                let Some(host) = self.fleet.get(id) else { return Err(Refusal::Unknown(format!("host {id}"))) };
                match &host.record.state {
                    HostState::Retired { .. } | HostState::Replaced { .. } => Err(Refusal::Retired(id.clone())),
                    HostState::Cloned { .. } => Err(Refusal::Cloned(id.clone())),
                    HostState::Active if revoked => Err(Refusal::Revoked),
                    HostState::Active if now.since(certificate.not_after) > RENEWAL_GRACE => Err(Refusal::ExpiredLongAgo),
                    HostState::Active if expired => Ok(Caller::ExpiredHost { id: id.clone() }),
                    HostState::Active => Ok(Caller::Host { id: id.clone(), mode: host.record.mode }),
                }
            }
        }
    }
}
