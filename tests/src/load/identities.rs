//! A fleet that enrolled before: the controller's state directory with every simulated host in its store.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use patchwave::records::{Actor, CertificateRecord, HostRecord, HostState, PolicyRecord, QuarantineRecord, Serial, Subject};
use patchwave::store::{self, Change, Write};
use patchwave_common::domain::{Architecture, Labels, Manager, PackageName, PackageVersion, PolicyName, QuarantineKey, Timestamp, TokenId};

use super::world::{Content, MODE, facts, host_id};

/// Kind of store under measurement: the default one.
pub const STORE: &str = "redb";
/// Changes of one write; two for each host. A write takes at most 4,000.
const HOSTS_PER_WRITE: u32 = 1_000;
/// The policy of the rollout: all hosts in one wave, nothing between the order and the end but the hosts themselves.
pub const POLICY: &str = "load";
const POLICY_TOML: &str = r#"name = "load"
[limits]
max_unavailable = "all"
max_in_flight_per_site = 100000
staging_per_minute = 100000
[[wave]]
name = "all"
soak = "0s"
max_in_flight = 100000
"#;

/// Makes the state directory with `patchwave init`, and puts the hosts, their content, a policy and a quarantine into its store.
///
/// # Errors
/// If the controller's program does not run or the store refuses.
pub fn make(mut init: Command, state: &Path, hosts: u32, content: &Content, now: Timestamp) -> Result<()> {
    let made = init.output().context("cannot start patchwave")?;
    anyhow::ensure!(made.status.success(), "patchwave init: {}", String::from_utf8_lossy(&made.stderr));
    let store = store::open(STORE, &patchwave::setup::store_path(state, STORE))?;
    store.write(Write::new(vec![
        Change::PutInventory(Arc::new(content.inventory.clone())),
        Change::PutCandidates(Arc::new(content.candidates.clone())),
        Change::PutPolicy(PolicyRecord {
            name: PolicyName::parse(POLICY)?,
            revision: 0,
            toml: POLICY_TOML.to_owned(),
            by: Actor::Local,
            at: now,
        }),
        Change::PutQuarantine(Box::new(quarantine(now)?)),
    ]))?;
    for first in (0..hosts).step_by(HOSTS_PER_WRITE as usize) {
        let mut changes = Vec::new();
        for number in first..hosts.min(first + HOSTS_PER_WRITE) {
            let serial = Serial::from_bytes(&(u64::from(number) + (1 << 40)).to_be_bytes())?;
            let (subject, not_after) = (Subject::Host(host_id(number)?), Timestamp(now.0 + 30 * 86_400_000));
            changes.push(Change::PutCertificate(CertificateRecord {
                serial: serial.clone(),
                subject,
                issued_at: now,
                not_after,
                revoked: None,
            }));
            changes.push(Change::PutHost(Box::new(host(number, serial, content, now)?)));
        }
        store.write(Write::new(changes))?;
    }
    Ok(())
}

pub fn host(number: u32, certificate: Serial, content: &Content, now: Timestamp) -> Result<HostRecord> {
    let ring = if number < 10 { "ring=test" } else { "ring=broad" };
    Ok(HostRecord {
        id: host_id(number)?,
        revision: 0,
        mode: MODE,
        labels: Labels([ring, "site=one"].into_iter().map(Labels::parse_pair).collect::<Result<_, _>>()?),
        state: HostState::Active,
        enrolled_at: now,
        token: TokenId::parse("t-load")?,
        certificate,
        replaces: None,
        facts: facts(number),
        last_seen: None,
        instance: None,
        clock_offset_ms: 0,
        inventory: Some(content.inventory.digest()),
        candidates: Some(content.candidates.digest()),
    })
}

/// A version in quarantine, which the run lifts: the controller tells everybody then.
fn quarantine(now: Timestamp) -> Result<QuarantineRecord> {
    let key = QuarantineKey {
        manager: Manager::Dpkg,
        origin: "Example/stable".into(),
        source: PackageName::parse("libexample1-data")?,
        version: PackageVersion::parse("9.9")?,
        architecture: Architecture::parse("amd64")?,
    };
    Ok(QuarantineRecord { key, reason: "for the measurement".into(), rollout: None, since: now, lifted: None })
}
