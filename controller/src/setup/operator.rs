//! Makes an operator on the controller's own machine while the controller is stopped: the way back where no admin is left who can.
//!
//! It needs no certificate: whoever may write the state directory owns the fleet anyway. The store's lock shows that no controller runs,
//! which would know nothing of the change. It is audited, and told in the fleet's events, where other admins see it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_common::runtime::tls::KeyRequest;

use super::{ControllerSettings, controller_url, pki_dir, store_path};
use crate::pki::{OPERATOR_LIFETIME, PkiFiles};
use crate::records::{Actor, AuditEntry, AuditOutcome, FleetEvent, OperatorRecord, OperatorRole, Revocation};
use crate::store::{self, Change, Guard, Store, StoreError, Write};

/// An operator that was made or made anew.
pub struct MadeOperator {
    /// How the operator reaches the controller.
    pub url: String,
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// The operator's certificate and the authority's, PEM.
    pub chain_pem: String,
    /// The operator's private key, PEM. A secret.
    pub key_pem: String,
    /// Whether there was an operator of that name. All of its earlier certificates are revoked: who lost a key cannot tell who found it.
    pub again: bool,
}

/// Makes an operator, or gives one that is there a new certificate and role.
///
/// # Errors
/// Where the controller runs, the directory is not a controller's, or another user owns it; nothing was changed then.
pub fn make_operator(state_dir: &Path, name: &OperatorName, role: OperatorRole, now: Timestamp) -> anyhow::Result<MadeOperator> {
    Actor::refuse_name(name)?;
    refuse_other_user(state_dir)?;
    let settings = ControllerSettings::of_state_dir(state_dir)?;
    let authority = PkiFiles::new(&pki_dir(state_dir)).load()?;
    let store = open(state_dir, &settings.store)?;
    let key = KeyRequest::new()?;
    let issued = authority.issue_operator(&key.request_der, name, OPERATOR_LIFETIME, now)?;
    let existing = store.operator(name)?;
    let earlier = existing.as_ref().map_or(&[][..], |record| &record.certificates);
    let done = format!("operator {name} got a new certificate and the role {role} on the controller's machine");
    let mut changes: Vec<Change> = earlier
        .iter()
        .map(|serial| Change::RevokeCertificate { serial: serial.clone(), revocation: Revocation { at: now, reason: done.clone() } })
        .collect();
    changes.extend([
        Change::PutCertificate(issued.record.clone()),
        Change::PutOperator(OperatorRecord {
            name: name.clone(),
            revision: 0,
            role,
            created_at: now,
            created_by: Actor::Local,
            revoked_at: None,
            certificates: vec![issued.record.serial.clone()],
        }),
        Change::AppendAudit(AuditEntry {
            at: now,
            actor: Actor::Local,
            action: "operator.create".into(),
            subject: name.to_string(),
            outcome: AuditOutcome::Done,
            detail: format!("role {role}, with the controller stopped; earlier certificates revoked: {}", earlier.len()),
        }),
        Change::AppendEvent(FleetEvent { at: now, kind: "operator-made-locally".into(), host: None, rollout: None, text: done }),
    ]);
    let expected = existing.as_ref().map_or(0, |record| record.revision);
    store.write(Write::new(changes).when(Guard::OperatorRevision { operator: name.clone(), expected }))?;
    Ok(MadeOperator {
        url: controller_url(&settings.names, settings.listen.port()),
        authority_pem: authority.certificate_pem().to_owned(),
        chain_pem: issued.chain_pem,
        key_pem: key.key_pem,
        again: existing.is_some(),
    })
}

/// Opens the store, which only one process may; never makes one.
fn open(state_dir: &Path, kind: &str) -> anyhow::Result<std::sync::Arc<dyn Store>> {
    let path = store_path(state_dir, kind);
    if !path.exists() {
        anyhow::bail!(
            "there is no store at {} (hint: name the directory that `patchwave init` or `patchwave restore` made)",
            path.display()
        );
    }
    store::open(kind, &path).map_err(|error| match error {
        StoreError::InUse { .. } => anyhow::anyhow!(
            "the controller runs on {}, so this cannot be done beside it (hint: stop it first, e.g. `systemctl stop patchwave`; while it runs, an \
             admin makes operators with `patchwave operator create` without --state-dir)",
            state_dir.display()
        ),
        error => error.into(),
    })
}

/// Files that another user makes in the directory could not be read by the controller afterwards.
fn refuse_other_user(state_dir: &Path) -> anyhow::Result<()> {
    let owner = match std::fs::metadata(state_dir) {
        Ok(metadata) => metadata.uid(),
        Err(error) => anyhow::bail!("{}: {error} (hint: name the controller's state directory)", state_dir.display()),
    };
    let me = rustix::process::geteuid().as_raw();
    if owner != me {
        anyhow::bail!(
            "{} belongs to the user with the number {owner} and this process runs as {me} (hint: run it as the controller's user, e.g. \
             `runuser -u patchwave -- env HOME=/var/lib/patchwave patchwave operator create …`)",
            state_dir.display()
        );
    }
    Ok(())
}
