//! A host: a machine with packages and clocks, and on it the real agent's cores (the patching machine and the session's protocol), with a
//! driver around them that does in simulation what the agent's driver does with files and processes.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_agent::patching::machine::{Case, Fence, JobId, Left, Machine, Moment, Record, TransactionName};
use patchwave_agent::session::protocol::{At, Protocol, Whoami};
use patchwave_common::domain::{
    Architecture, Candidate, CandidateSet, Feature, Generation, HostFacts, HostId, InstallState, InstalledPackage, InstanceId, Inventory,
    Manager, Mark, Origin, PackageId, PackageName, PackageVersion, QuarantineKey, Timestamp,
};

use crate::clock::START;
use crate::network::StreamId;
use crate::packages::{Packages, Versions};

/// What outlives the agent on its host's disk.
#[derive(Debug, Clone, Default)]
pub struct AgentDisk {
    pub fence: Fence,
    pub journals: BTreeMap<Generation, Vec<Record>>,
    pub receipts: BTreeMap<Generation, Versions>,
    pub quarantine: BTreeSet<QuarantineKey>,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    /// Numbers the agent's processes on this host, so that what was meant for an earlier one is dropped.
    pub run: u32,
    pub machine: Machine,
    pub protocol: Protocol,
    pub stream: Option<StreamId>,
    /// Transactions that are followed: the question, the name, and whether the claim was told.
    pub follows: Vec<(JobId, TransactionName, bool)>,
    /// The process is killed after so many more actions.
    pub dies_after: Option<u64>,
    /// When it is to be woken next, in true time.
    pub due_ms: Option<u64>,
}

#[derive(Debug)]
pub struct Host {
    pub id: HostId,
    pub packages: Packages,
    pub disk: AgentDisk,
    pub agent: Option<Agent>,
    pub runs: u32,
    pub boot: u32,
    pub booted_ms: u64,
    /// How much faster its boot clock runs than true time, in parts per million.
    pub drift_ppm: i64,
    pub wrong_by_ms: i64,
    pub is_on: bool,
    pub is_cut: bool,
    pub hold: Option<String>,
    /// Nothing can be written to its journal.
    pub is_full: bool,
    /// Versions that fail their checks here.
    pub bad: BTreeSet<(String, String)>,
}

pub fn host_id(number: usize) -> HostId {
    HostId::parse(format!("h-{number:02}")).unwrap()
}

impl Host {
    pub fn new(number: usize, drift_ppm: i64) -> Self {
        let versions = [("alpha", "1"), ("beta", "1")].map(|(name, version)| (name.to_owned(), version.to_owned()));
        Self {
            id: host_id(number),
            packages: Packages { versions: versions.into(), ..Packages::default() },
            disk: AgentDisk::default(),
            agent: None,
            runs: 0,
            boot: 1,
            booted_ms: 0,
            drift_ppm,
            wrong_by_ms: 0,
            is_on: true,
            is_cut: false,
            hold: None,
            is_full: false,
            bad: BTreeSet::new(),
        }
    }

    /// The instant on the host's own clocks.
    pub fn moment(&self, now_ms: u64) -> Moment {
        let since = i64::try_from(now_ms - self.booted_ms).unwrap();
        let boottime_ms = u64::try_from(since + since * self.drift_ppm / 1_000_000).unwrap();
        let wall = Timestamp(START + i64::try_from(now_ms).unwrap() + self.wrong_by_ms);
        Moment { boot_id: format!("boot-{}", self.boot), boottime_ms, wall }
    }

    pub fn at(&self, now_ms: u64) -> At {
        let Moment { boottime_ms, wall, .. } = self.moment(now_ms);
        At { boottime_ms, wall }
    }

    /// True time when the boot clock shows this, or just after.
    pub fn true_time_of(&self, boottime_ms: u64) -> u64 {
        let shown = i64::try_from(boottime_ms).unwrap();
        self.booted_ms + u64::try_from(shown - shown * self.drift_ppm / 1_000_000).unwrap() + 1
    }

    /// What an agent that starts finds, and the process itself.
    pub fn start_agent(&mut self, now_ms: u64) -> Vec<patchwave_agent::patching::machine::Action> {
        self.runs += 1;
        let cases: Vec<Case> = self.disk.journals.values().filter_map(|records| Case::fold(records)).collect();
        let newest = |case: &&Case| case.history.generation.max(case.apply.generation);
        let begun = cases.iter().filter(|case| case.changed && !case.is_ended()).max_by_key(newest);
        let case = begun.or_else(|| cases.iter().max_by_key(newest)).cloned();
        let left =
            Left { fence: self.disk.fence.clone(), case, damage: None, hold: self.hold.clone(), quarantine: self.disk.quarantine.clone() };
        let (machine, first) = Machine::restored(&self.moment(now_ms), left);
        let whoami = Whoami {
            instance: InstanceId::parse(format!("i-{}", self.runs)).unwrap(),
            agent_version: "1".to_owned(),
            features: Feature::ALL.iter().map(|name| Feature((*name).to_owned())).collect(),
        };
        let protocol = Protocol::new(whoami, facts(&self.id), None, None);
        self.agent = Some(Agent { run: self.runs, machine, protocol, stream: None, follows: Vec::new(), dies_after: None, due_ms: None });
        first
    }

    /// The case of an apply directive, or of the order to take it back.
    pub fn case(&self, generation: Generation, or_its_take_back: bool) -> Option<Case> {
        let mut folded = self.disk.journals.values().filter_map(|records| Case::fold(records));
        let is_back = |case: &Case| or_its_take_back && case.back.as_ref().is_some_and(|back| back.generation == generation);
        folded.rfind(|case| case.apply.generation == generation || is_back(case))
    }

    pub fn is_sound(&self) -> bool {
        !self.packages.half && !self.packages.versions.iter().any(|(name, version)| self.bad.contains(&(name.clone(), version.clone())))
    }

    pub fn inventory(&self) -> Inventory {
        let installed = self.packages.versions.iter().map(|(name, version)| InstalledPackage {
            id: package_id(name),
            version: PackageVersion::parse(version).unwrap(),
            source: PackageName::parse(name).unwrap(),
            source_version: PackageVersion::parse(version).unwrap(),
            state: InstallState::Installed,
            mark: Mark::Manual,
            held: false,
        });
        Inventory::new(Manager::Dpkg, installed)
    }

    /// What the host could get: the archive has one version more than each that is out.
    pub fn candidates(&self, archive: &Versions) -> CandidateSet {
        let newer = self.packages.versions.iter().filter(|(name, version)| archive.get(*name).is_some_and(|newest| newest > *version));
        CandidateSet::new(
            newer
                .map(|(name, version)| Candidate {
                    id: package_id(name),
                    from: PackageVersion::parse(version).unwrap(),
                    to: PackageVersion::parse(&archive[name]).unwrap(),
                    source: PackageName::parse(name).unwrap(),
                    source_version: PackageVersion::parse(&archive[name]).unwrap(),
                    origin: Origin {
                        origin: "Debian".to_owned(),
                        label: "Debian-Security".to_owned(),
                        suite: "stable-security".to_owned(),
                        ..Origin::default()
                    },
                    sha256: None,
                    size_bytes: 1000,
                    blocked: None,
                })
                .collect(),
        )
    }
}

fn package_id(name: &str) -> PackageId {
    PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse("amd64").unwrap() }
}

pub fn facts(id: &HostId) -> HostFacts {
    HostFacts { hostname: id.to_string(), os: "debian".to_owned(), release: "12".to_owned(), ..HostFacts::default() }
}
