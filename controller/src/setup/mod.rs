//! Makes a controller's state directory: new (`init`), or from a backup (`restore`); and an operator in one whose controller is stopped.
//!
//! A state directory holds `controller.toml` (settings), `pki/` (the authority and the controller's certificate) and the store. It is
//! private to the user that the controller runs as: whoever reads it owns the fleet.

mod backup;
mod operator;
mod settings;

use std::path::{Path, PathBuf};

use patchwave_common::domain::{Digest, OperatorName, Timestamp};
use patchwave_common::runtime::atomic_file;
use patchwave_common::runtime::tls::{KeyRequest, TrustDomain};

pub use backup::{RestoreRequest, restore, write_backup};
pub use operator::{MadeOperator, make_operator};
pub use settings::{ControllerSettings, SETTINGS_FILE, SettingsError};

use crate::pki::{OPERATOR_LIFETIME, PkiFiles, ServerNames};
use crate::records::{Actor, AuditEntry, AuditOutcome, OperatorRecord, OperatorRole};
use crate::store::{self, Change, Write};

/// What `init` is asked for.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// The directory to make.
    pub state_dir: PathBuf,
    /// Names the fleet in every certificate.
    pub trust_domain: String,
    /// Names and addresses under which the controller is reached; the first goes into the operator's context.
    pub names: Vec<String>,
    /// Where the controller will listen.
    pub listen: std::net::SocketAddr,
    /// The first operator.
    pub operator: OperatorName,
    /// Kind of store.
    pub store: String,
}

/// What `init` made.
pub struct Initialised {
    /// Names the fleet.
    pub trust_domain: String,
    /// SHA-256 of the authority's certificate.
    pub fingerprint: Digest,
    /// How the operator reaches the controller.
    pub url: String,
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// The operator's certificate and the authority's, PEM.
    pub operator_chain_pem: String,
    /// The operator's private key, PEM. A secret.
    pub operator_key_pem: String,
}

/// Makes a state directory with authority, certificates, store and a first operator. Refuses where there is one already; what an
/// interrupted attempt left is named in the error.
pub fn init(request: &InitRequest, now: Timestamp) -> anyhow::Result<Initialised> {
    let trust_domain = TrustDomain::parse(&request.trust_domain).map_err(|error| anyhow::anyhow!("--trust-domain: {error}"))?;
    let names = ServerNames::parse(&request.names).map_err(|error| anyhow::anyhow!("--name: {error}"))?;
    Actor::refuse_name(&request.operator).map_err(|error| anyhow::anyhow!("--operator: {error}"))?;
    refuse_existing(&request.state_dir)?;
    atomic_file::private_directory(&request.state_dir)?;
    let (authority, server) = PkiFiles::new(&pki_dir(&request.state_dir)).init(&trust_domain, &names, now)?;
    let key = KeyRequest::new()?;
    let operator = authority.issue_operator(&key.request_der, &request.operator, OPERATOR_LIFETIME, now)?;
    let store = store::open(&request.store, &store_path(&request.state_dir, &request.store))?;
    store.write(Write::new(vec![
        Change::PutCertificate(server.record),
        Change::PutCertificate(operator.record.clone()),
        Change::PutOperator(OperatorRecord {
            name: request.operator.clone(),
            revision: 0,
            role: OperatorRole::Admin,
            created_at: now,
            created_by: Actor::Local,
            revoked_at: None,
            certificates: vec![operator.record.serial.clone()],
        }),
        Change::AppendAudit(AuditEntry {
            at: now,
            actor: Actor::Local,
            action: "init".into(),
            subject: trust_domain.to_string(),
            outcome: AuditOutcome::Done,
            detail: format!("first operator {}", request.operator),
        }),
    ]))?;
    // The settings come last: a directory without them was interrupted, and serve says so.
    settings::write(&request.state_dir, &request.names, request.listen, &request.store)?;
    Ok(Initialised {
        trust_domain: trust_domain.to_string(),
        fingerprint: authority.fingerprint(),
        url: controller_url(&request.names, request.listen.port()),
        authority_pem: authority.certificate_pem().to_owned(),
        operator_chain_pem: operator.chain_pem,
        operator_key_pem: key.key_pem,
    })
}

/// How operators reach the controller: by the first of its names.
fn controller_url(names: &[String], port: u16) -> String {
    let host = names.first().map_or("localhost", String::as_str);
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

fn refuse_existing(state_dir: &Path) -> anyhow::Result<()> {
    let mut entries = match std::fs::read_dir(state_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => anyhow::bail!("{}: {error}", state_dir.display()),
    };
    if entries.next().is_some() {
        anyhow::bail!(
            "{} is not empty; nothing was changed (hint: choose another directory, or serve what is there: `patchwave serve --state-dir {0}`)",
            state_dir.display()
        );
    }
    Ok(())
}

/// Where the authority is.
#[must_use]
pub fn pki_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("pki")
}

/// Where a store of a kind is.
#[must_use]
pub fn store_path(state_dir: &Path, kind: &str) -> PathBuf {
    state_dir.join(format!("store.{kind}"))
}
