//! What happens to hosts that is not their own report: downloads, silence, absence, return, a person's report, retirement.

use patchwave_common::domain::{HarmReason, RefusalReason, Timestamp};

use super::Transition;
use crate::rollout::event::Event;
use crate::rollout::plan::HostIndex;
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{CHANGED, Cause, Life, Phase, RETURNED, Rollout, SILENT, Staging};

impl Rollout {
    pub(super) fn check_stage_requested(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        if !self.is_releasing() || self.is_reverse() {
            return Err(self.wrong_state("asking for downloads", "only a running rollout asks for them"));
        }
        self.check_list(hosts, "asking for a download", |host, phase| {
            phase == Phase::Pending && self.hosts.staging(host) == Staging::NotAsked
        })
    }

    pub(super) fn check_staged(&self, host: HostIndex) -> Result<(), Rejected> {
        self.check_download(host)?;
        if self.hosts.staging(host) == Staging::Staged { Err(Rejected::NoNews) } else { Ok(()) }
    }

    pub(super) fn check_not_staged(&self, host: HostIndex) -> Result<(), Rejected> {
        self.check_download(host)?;
        if self.hosts.staging(host) == Staging::NotStaged { Err(Rejected::NoNews) } else { Ok(()) }
    }

    /// A download was asked for and the host has not gone on since.
    fn check_download(&self, host: HostIndex) -> Result<(), Rejected> {
        let phase = self.known(host)?;
        if !matches!(phase, Phase::Pending | Phase::Offline) || self.hosts.staging(host) == Staging::NotAsked {
            return Err(Rejected::WrongPhase { action: "reporting a download", phase });
        }
        Ok(())
    }

    pub(super) fn apply_staging(&mut self, event: &Event, at: Timestamp, changes: &mut Transition) {
        match event {
            Event::StageRequested { hosts } => {
                self.staging_window.take(at, u32::try_from(hosts.len()).unwrap_or(u32::MAX));
                for &host in hosts {
                    self.set_staging(host, Staging::Asked, at, changes);
                }
            }
            Event::HostStaged { host, way_back } => {
                self.set_staging(*host, Staging::Staged, at, changes);
                if !way_back && !self.plan.policy().transaction.allow_no_way_back {
                    self.set_phase(*host, Phase::Refused, Cause::Refused(RefusalReason::NoWayBack), at, changes);
                }
            }
            Event::HostNotStaged { host, reason, detail } => self.set_not_staged(*host, *reason, detail, at, changes),
            _ => {}
        }
    }

    pub(super) fn check_silent(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        self.check_list(hosts, "falling silent", |host, phase| match phase {
            Phase::Applying | Phase::Verifying | Phase::Healthy => true,
            Phase::Harmed | Phase::TakingBack => !self.hosts.has(host, SILENT),
            _ => false,
        })
    }

    pub(super) fn check_offline(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        if self.life != Life::Running {
            return Err(self.wrong_state("leaving hosts to catch-up", "only a running rollout does"));
        }
        self.check_list(hosts, "being away", |_, phase| matches!(phase, Phase::Pending | Phase::Released | Phase::Accepted))
    }

    pub(super) fn check_returned(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        self.check_list(hosts, "returning", |host, phase| phase == Phase::Offline || self.hosts.has(host, SILENT))
    }

    pub(super) fn check_reported(&self, host: HostIndex) -> Result<(), Rejected> {
        let phase = self.known(host)?;
        let fits = match phase {
            Phase::Applying | Phase::Verifying | Phase::Healthy => true,
            Phase::Concluded => !matches!(self.life, Life::Ended { .. }),
            _ => false,
        };
        if fits { Ok(()) } else { Err(Rejected::WrongPhase { action: "reporting harm", phase }) }
    }

    pub(super) fn check_retired(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        self.check_list(hosts, "retiring", |_, phase| {
            !matches!(phase, Phase::Retired | Phase::Concluded | Phase::TakenBack | Phase::Refused | Phase::UpToDate)
        })
    }

    pub(super) fn apply_hosts(&mut self, event: &Event, at: Timestamp, changes: &mut Transition) {
        match event {
            Event::HostSilent { hosts, cause } => {
                for &host in hosts {
                    self.fall_silent(host, cause.as_str(), at, changes);
                }
            }
            Event::HostOffline { hosts, cause } => {
                for &host in hosts {
                    self.set_phase(host, Phase::Offline, Cause::Absent(*cause), at, changes);
                }
            }
            Event::HostReturned { hosts } => {
                for &host in hosts {
                    self.return_host(host, at, changes);
                }
            }
            Event::OperatorReportedHarm { host, by, reason } => {
                self.charge(*host);
                self.hosts.raise(*host, CHANGED);
                self.hosts.set_detail(*host, &format!("reported by {by}: {reason}"));
                self.set_phase(*host, Phase::Harmed, Cause::Harmed(HarmReason::Reported), at, changes);
            }
            Event::HostRetired { hosts } => {
                for &host in hosts {
                    self.set_phase(host, Phase::Retired, Cause::None, at, changes);
                }
            }
            _ => {}
        }
    }

    fn fall_silent(&mut self, host: HostIndex, how: &str, at: Timestamp, changes: &mut Transition) {
        match self.hosts.phase(host) {
            phase @ (Phase::Harmed | Phase::TakingBack) => {
                let cause = self.hosts.cause(host);
                self.set_phase(host, phase, cause, at, changes);
            }
            _ => {
                self.charge(host);
                self.hosts.set_detail(host, how);
                self.set_phase(host, Phase::Harmed, Cause::Harmed(HarmReason::Silent), at, changes);
            }
        }
        self.hosts.raise(host, SILENT);
    }

    fn return_host(&mut self, host: HostIndex, at: Timestamp, changes: &mut Transition) {
        self.hosts.lower(host, SILENT);
        if self.hosts.phase(host) == Phase::Offline {
            self.hosts.raise(host, RETURNED);
            self.set_phase(host, Phase::Pending, Cause::None, at, changes);
        } else {
            let (phase, cause) = (self.hosts.phase(host), self.hosts.cause(host));
            self.set_phase(host, phase, cause, at, changes);
        }
    }
}
