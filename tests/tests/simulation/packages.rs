//! The truth on a host: what is installed, what is half done, and the transactions that run outside the agent.

use std::collections::BTreeMap;

use patchwave_agent::patching::machine::{LeaseDeadline, NotBegun, TransactionName, TransactionOutcome};
use patchwave_common::domain::TargetSet;

/// Versions by package.
pub type Versions = BTreeMap<String, String>;

#[derive(Debug, Clone, Default)]
pub struct Packages {
    pub versions: Versions,
    /// A transaction stopped in the middle.
    pub half: bool,
    /// Somebody else holds the lock until then, in true time.
    pub locked_until_ms: u64,
    /// Somebody else changed something: what the host is compared with no longer tells what Patchwave did.
    pub touched: bool,
    pub transactions: BTreeMap<TransactionName, Transaction>,
}

/// A transaction's process and the files in its directory.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub lease: Option<LeaseDeadline>,
    /// What it brings about.
    pub wanted: Versions,
    pub claimed: bool,
    pub cancelled: bool,
    pub process: bool,
    pub result: Option<TransactionOutcome>,
}

/// What somebody who follows a transaction learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    Nothing,
    Claimed,
    Ended(TransactionOutcome),
}

pub fn wanted(targets: &TargetSet) -> Versions {
    targets.targets.iter().map(|target| (target.id.name.to_string(), target.to.to_string())).collect()
}

impl Packages {
    /// What differs from these versions, in words.
    pub fn differences(&self, wanted: &Versions) -> Vec<String> {
        if self.half {
            return vec!["half-way".to_owned()];
        }
        let unlike = |(name, version): (&String, &String)| {
            (self.versions.get(name) != Some(version)).then(|| format!("{name} is {:?}, not {version}", self.versions.get(name)))
        };
        wanted.iter().filter_map(unlike).collect()
    }

    pub fn is_locked(&self, now_ms: u64) -> bool {
        now_ms < self.locked_until_ms || self.running().is_some()
    }

    /// The transaction that is at work.
    pub fn running(&self) -> Option<&TransactionName> {
        self.transactions.iter().find(|(_, it)| it.claimed && it.process && it.result.is_none()).map(|(name, _)| name)
    }

    pub fn lose_processes(&mut self) {
        for transaction in self.transactions.values_mut() {
            transaction.process = false;
        }
    }

    /// What is known of a transaction to whoever asks now. One that never began is called off by the question.
    pub fn follow(&mut self, name: TransactionName, told_claim: bool) -> Followed {
        let cancelled = || TransactionOutcome::NotBegun { why: NotBegun::Cancelled, detail: "never offered".to_owned() };
        let Some(transaction) = self.transactions.get_mut(&name) else { return Followed::Ended(cancelled()) };
        if transaction.claimed && !told_claim {
            return Followed::Claimed;
        }
        if let Some(result) = &transaction.result {
            return Followed::Ended(result.clone());
        }
        if transaction.process {
            return Followed::Nothing;
        }
        if transaction.claimed {
            return Followed::Ended(TransactionOutcome::Interrupted { detail: "gone".to_owned() });
        }
        transaction.cancelled = true;
        Followed::Ended(cancelled())
    }
}
