//! Conditions of a write.

use patchwave_common::domain::HostId;
use patchwave_proto::store::v1;

use super::keys::Table;
use super::transaction::Transaction;
use crate::records::{ClaimRecord, HostRecord, OperatorRecord, PolicyRecord, TokenRecord};
use crate::store::{Guard, Result, StoreError};

/// Fails where the guard does not hold, telling what is there instead.
pub(super) fn check(transaction: &Transaction<'_>, guard: Guard) -> Result<()> {
    match violation(transaction, &guard)? {
        None => Ok(()),
        Some(found) => Err(StoreError::Guard { guard, found }),
    }
}

/// What is there instead of what the guard demands.
fn violation(transaction: &Transaction<'_>, guard: &Guard) -> Result<Option<String>> {
    let revision = |found: Option<u64>, expected: u64| {
        let found = found.unwrap_or(0);
        (found != expected).then(|| format!("it has revision {found}"))
    };
    Ok(match guard {
        Guard::RolloutRevision { rollout, expected } => {
            let position: Option<v1::Counter> = transaction.get(&Table::RolloutPosition.text(rollout.as_str()))?;
            revision(position.map(|position| position.value), *expected)
        }
        Guard::Unclaimed { host } => holder(transaction, host)?.map(|claim| held(&claim)),
        Guard::ClaimedBy { host, rollout } => match holder(transaction, host)? {
            Some(claim) if claim.rollout == *rollout => None,
            Some(claim) => Some(held(&claim)),
            None => Some("no rollout holds it".into()),
        },
        Guard::Claimable { host, rollout } => {
            holder(transaction, host)?.filter(|claim| claim.rollout != *rollout).map(|claim| held(&claim))
        }
        Guard::FleetRevision { expected } => revision(Some(transaction.meta.fleet_revision), *expected),
        Guard::TokenUses { token, expected } => {
            let found: Option<TokenRecord> = transaction.get(&Table::Token.text(token.as_str()))?;
            let uses = found.map_or(0, |token| token.uses);
            (uses != *expected).then(|| format!("it was used {uses} times"))
        }
        Guard::TokenUsable { token } => unusable(transaction.get(&Table::Token.text(token.as_str()))?.as_ref()),
        Guard::HostRevision { host, expected } => {
            let found: Option<HostRecord> = transaction.get(&Table::Host.text(host.as_str()))?;
            revision(found.map(|record| record.revision), *expected)
        }
        Guard::OperatorRevision { operator, expected } => {
            let found: Option<OperatorRecord> = transaction.get(&Table::Operator.text(operator.as_str()))?;
            revision(found.map(|record| record.revision), *expected)
        }
        Guard::PolicyRevision { policy, expected } => {
            let found: Option<PolicyRecord> = transaction.get(&Table::Policy.text(policy.as_str()))?;
            revision(found.map(|record| record.revision), *expected)
        }
    })
}

/// Why a token may not be used, whatever the clock says.
fn unusable(token: Option<&TokenRecord>) -> Option<String> {
    match token {
        None => Some("there is no such token".into()),
        Some(token) if token.revoked_at.is_some() => Some("it was revoked".into()),
        Some(token) if token.uses_left() == 0 => Some(format!("all of its {} uses are used up", token.uses_limit)),
        Some(_) => None,
    }
}

fn holder(transaction: &Transaction<'_>, host: &HostId) -> Result<Option<ClaimRecord>> {
    transaction.get(&Table::Claim.text(host.as_str()))
}

fn held(claim: &ClaimRecord) -> String {
    format!("rollout {} holds it", claim.rollout)
}
