//! Changes of hosts, tokens, operators, policies, quarantine, halt, certificates, audit log and events.

use patchwave_common::domain::{Digest, HostId, QuarantineKey, TokenId};

use super::content;
use super::guards;
use super::keys::{Table, quarantine_key};
use super::transaction::Transaction;
use crate::records::{
    AuditEntry, AuditRecord, CertificateRecord, EventRecord, FleetEvent, HaltRecord, HostRecord, HostUpdate, Lift, OperatorRecord,
    PolicyRecord, QuarantineRecord, Revocation, Serial, TokenRecord,
};
use crate::store::codec::Stored;
use crate::store::{Guard, Result, StoreError};

/// A record that must be there.
pub(super) fn existing<T: Stored>(transaction: &Transaction<'_>, key: &[u8], id: &str) -> Result<T> {
    transaction.get(key)?.ok_or_else(|| StoreError::Missing { what: T::WHAT, id: id.to_owned() })
}

pub(super) fn put_host(transaction: &mut Transaction<'_>, mut host: HostRecord) -> Result<()> {
    let key = Table::Host.text(host.id.as_str());
    let old: Option<HostRecord> = transaction.get(&key)?;
    host.revision = old.as_ref().map_or(0, |old| old.revision) + 1;
    content::move_host(transaction, old.as_ref(), &host)?;
    transaction.put(key, &host)
}

pub(super) fn update_host(transaction: &mut Transaction<'_>, id: &HostId, update: HostUpdate) -> Result<()> {
    let key = Table::Host.text(id.as_str());
    let mut host: HostRecord = existing(transaction, &key, id.as_str())?;
    host.revision += 1;
    match update {
        HostUpdate::Labels(labels) => host.labels = labels,
        HostUpdate::State(state) => host.state = state,
        HostUpdate::Facts(facts) => host.facts = *facts,
        HostUpdate::Seen { at, instance, clock_offset_ms } => {
            host.last_seen = Some(at);
            host.instance = Some(instance);
            host.clock_offset_ms = clock_offset_ms;
        }
        HostUpdate::Certificate(serial) => host.certificate = serial,
        HostUpdate::Replaces(old) => host.replaces = Some(old),
    }
    transaction.put(key, &host)
}

pub(super) fn use_token(transaction: &mut Transaction<'_>, id: TokenId) -> Result<()> {
    guards::check(transaction, Guard::TokenUsable { token: id.clone() })?;
    let key = Table::Token.text(id.as_str());
    let mut token: TokenRecord = existing(transaction, &key, id.as_str())?;
    token.uses += 1;
    transaction.put(key, &token)
}

pub(super) fn put_operator(transaction: &mut Transaction<'_>, mut operator: OperatorRecord) -> Result<()> {
    let key = Table::Operator.text(operator.name.as_str());
    operator.revision = transaction.get::<OperatorRecord>(&key)?.map_or(0, |old| old.revision) + 1;
    transaction.put(key, &operator)
}

pub(super) fn put_policy(transaction: &mut Transaction<'_>, mut policy: PolicyRecord) -> Result<()> {
    let key = Table::Policy.text(policy.name.as_str());
    policy.revision = transaction.get::<PolicyRecord>(&key)?.map_or(0, |old| old.revision) + 1;
    transaction.put(Table::PolicyRevision.text_number(policy.name.as_str(), policy.revision), &policy)?;
    transaction.put(key, &policy)
}

pub(super) fn put_quarantine(transaction: &mut Transaction<'_>, record: &QuarantineRecord) -> Result<()> {
    transaction.meta.fleet_revision += 1;
    transaction.put(quarantine_key(&record.key), record)
}

pub(super) fn lift_quarantine(transaction: &mut Transaction<'_>, key: &QuarantineKey, lift: Lift) -> Result<()> {
    let row = quarantine_key(key);
    let mut record: QuarantineRecord = existing(transaction, &row, &format!("{} {}", key.source, key.version))?;
    transaction.meta.fleet_revision += 1;
    record.lifted = Some(lift);
    transaction.put(row, &record)
}

pub(super) fn set_halt(transaction: &mut Transaction<'_>, halt: &HaltRecord) -> Result<()> {
    transaction.meta.fleet_revision += 1;
    transaction.put(Table::Halt.only(), halt)
}

pub(super) fn revoke_certificate(transaction: &mut Transaction<'_>, serial: &Serial, revocation: Revocation) -> Result<()> {
    let key = Table::Certificate.text(serial.as_str());
    let mut record: CertificateRecord = existing(transaction, &key, serial.as_str())?;
    record.revoked.get_or_insert(revocation);
    transaction.put(key, &record)
}

pub(super) fn append_audit(transaction: &mut Transaction<'_>, entry: AuditEntry) -> Result<()> {
    let previous = Digest::from_bytes(&transaction.meta.last_audit_digest)
        .map_err(|error| StoreError::damaged(transaction.path(), error.to_string()))?;
    let record = AuditRecord::chain(transaction.meta.last_audit, previous, entry);
    transaction.meta.last_audit = record.sequence;
    transaction.meta.last_audit_digest = record.digest.0.to_vec();
    transaction.put(Table::Audit.number(record.sequence), &record)
}

pub(super) fn append_event(transaction: &mut Transaction<'_>, event: FleetEvent) -> Result<()> {
    transaction.meta.last_event += 1;
    let record = EventRecord { sequence: transaction.meta.last_event, event };
    transaction.put(Table::Event.number(record.sequence), &record)
}
