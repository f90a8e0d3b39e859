//! One call of an operator: who, when, on what; and how errors become statuses that say what to do.

use std::sync::Arc;

use patchwave_common::domain::{OperatorName, ParseError, Timestamp};
use tonic::Status;

use crate::app::App;
use crate::records::{Actor, AuditEntry, AuditOutcome, OperatorRole};
use crate::store::{Change, StoreError, StoreRead, Write};

/// A call in progress.
pub struct Call {
    /// The controller's parts.
    pub app: Arc<App>,
    /// Who calls, from the certificate.
    pub name: OperatorName,
    /// What the caller may do.
    pub role: OperatorRole,
    /// When the call came.
    pub at: Timestamp,
}

impl Call {
    /// The caller, for records.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Operator(self.name.clone())
    }

    /// Reads from the store off the runtime's threads.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn StoreRead) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Status> {
        self.app.read(read).await.map_err(|error| store_status(&error))
    }

    /// Writes; acknowledged means on disk.
    pub async fn write(&self, write: Write) -> Result<(), Status> {
        self.app.store.write(write).await.map(drop).map_err(|error| store_status(&error))
    }

    /// Records in the audit log how the call ended.
    pub async fn audit(&self, action: &str, subject: &str, result: Result<(), &Status>) {
        let (outcome, detail) = match result {
            Ok(()) => (AuditOutcome::Done, String::new()),
            Err(status) => (AuditOutcome::Failed, patchwave_common::domain::clean_text(status.message(), 500)),
        };
        let entry = AuditEntry {
            at: self.at,
            actor: self.actor(),
            action: action.to_owned(),
            subject: patchwave_common::domain::clean_text(subject, 200),
            outcome,
            detail,
        };
        if let Err(error) = self.app.store.write(Write::new(vec![Change::AppendAudit(entry)])).await {
            tracing::error!(%error, action, "the audit log could not be written");
        }
    }
}

/// Wrong use: the message names the field.
#[must_use]
pub fn wrong(field: &str, error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{field}: {error}"))
}

/// A malformed value of a field.
pub fn parsed<T>(field: &str, value: Result<T, ParseError>) -> Result<T, Status> {
    value.map_err(|error| wrong(field, error))
}

/// An error of the store as a status; conflicts say that somebody was first.
#[must_use]
pub fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Guard { .. } => {
            Status::aborted(format!("somebody else changed this at the same moment: {error} (hint: look again and repeat)"))
        }
        StoreError::Missing { .. } => Status::not_found(error.to_string()),
        StoreError::Closed => Status::unavailable(error.to_string()),
        StoreError::Full { .. } => Status::resource_exhausted(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}

/// RFC 3339, or empty for none.
#[must_use]
pub fn show_time(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| at.to_string())
}
