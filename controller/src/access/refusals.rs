//! Refused calls of known callers, on their way into the audit log.
//!
//! Bounded: a caller who is refused ten thousand times a second must not write ten thousand records a second. Strangers without a
//! certificate are not recorded at all; they stand in the log of the process.

use patchwave_common::domain::{Timestamp, clean_text};
use patchwave_common::runtime::throttle::Throttle;
use patchwave_common::runtime::tls::PeerIdentity;
use tokio::sync::mpsc;

use crate::records::{Actor, AuditEntry, AuditOutcome};
use crate::store::{Change, StoreHandle, Write};

/// Refusals recorded in a minute; a person who tries what they may not stays far below.
const A_MINUTE: u32 = 60;
/// Records that wait for the store: a minute's.
const QUEUE: usize = A_MINUTE as usize;

/// Where refusals go.
pub struct Refusals {
    queue: mpsc::Sender<AuditEntry>,
    throttle: Throttle,
}

impl Refusals {
    /// Refusals, and the end at which they come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<AuditEntry>) {
        let (queue, records) = mpsc::channel(QUEUE);
        (Self { queue, throttle: Throttle::new(A_MINUTE, 60_000) }, records)
    }

    /// Notes one refusal; `boottime_ms` paces, `at` is recorded.
    pub(super) fn note(&self, identity: &PeerIdentity, method: &str, reason: &str, at: Timestamp, boottime_ms: u64) {
        let Some(left_out) = self.throttle.admit(boottime_ms) else { return };
        let actor = match identity {
            PeerIdentity::Host(id) => Actor::Host(id.clone()),
            PeerIdentity::Operator(name) => Actor::Operator(name.clone()),
            PeerIdentity::Controller => Actor::Controller,
        };
        let mut detail = clean_text(reason, 300);
        if left_out > 0 {
            detail = format!("{detail} (and {left_out} refusals before it that were too many to record)");
        }
        let entry =
            AuditEntry { at, actor, action: "access".to_owned(), subject: clean_text(method, 120), outcome: AuditOutcome::Refused, detail };
        if self.queue.try_send(entry).is_err() {
            tracing::error!(method, "the store is too slow to record a refused call in the audit log");
        }
    }
}

/// Writes refusals to the audit log until the layer is gone.
pub async fn record_refusals(mut records: mpsc::Receiver<AuditEntry>, store: StoreHandle) {
    let mut waiting = Vec::with_capacity(QUEUE);
    while records.recv_many(&mut waiting, QUEUE).await > 0 {
        let changes = waiting.drain(..).map(Change::AppendAudit).collect();
        if let Err(error) = store.write(Write::new(changes)).await {
            tracing::error!(%error, "refused calls could not be recorded in the audit log");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::OperatorName;

    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_a_bounded_number_of_records_and_the_count_of_the_rest() {
        let (refusals, mut records) = Refusals::new();
        let eve = PeerIdentity::Operator(OperatorName::parse("eve").unwrap());
        let note = |ms| refusals.note(&eve, "/x/Y", "not for you", Timestamp(0), ms);
        for number in 0..10_000 {
            note(1_000_000 + number % 1000);
        }
        let mut drained = || {
            let mut entries = Vec::new();
            while let Ok(entry) = records.try_recv() {
                entries.push(entry);
            }
            entries
        };
        assert_eq!(drained().len(), 60);
        note(1_000_000 + 61_000);
        let entries = drained();
        assert_eq!(entries.len(), 1);
        assert!(entries[0].detail.contains("and 9940 refusals before it"), "{}", entries[0].detail);
        assert_eq!((entries[0].actor.to_string(), entries[0].outcome), ("operator:eve".to_owned(), AuditOutcome::Refused));
    }
}
