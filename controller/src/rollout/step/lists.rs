//! Lists of hosts in events: bounded, without repetition, and of hosts that the plan has.

use std::collections::BTreeSet;

use crate::rollout::event::{MAX_HOSTS_PER_EVENT, Ordered};
use crate::rollout::plan::HostIndex;
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{Phase, Rollout};

impl Rollout {
    /// A list of hosts, each of which is in a phase that fits.
    pub(super) fn check_list(
        &self,
        hosts: &[HostIndex],
        action: &'static str,
        fits: impl Fn(HostIndex, Phase) -> bool,
    ) -> Result<(), Rejected> {
        if hosts.is_empty() || hosts.len() > MAX_HOSTS_PER_EVENT {
            return Err(Rejected::Malformed("a list of hosts is empty or too long"));
        }
        if hosts.iter().collect::<BTreeSet<_>>().len() != hosts.len() {
            return Err(Rejected::Malformed("a list names one host twice"));
        }
        for &host in hosts {
            let phase = self.known(host)?;
            if !fits(host, phase) {
                return Err(Rejected::WrongPhase { action, phase });
            }
        }
        Ok(())
    }

    /// The phase of a host that the plan has.
    pub(super) fn known(&self, host: HostIndex) -> Result<Phase, Rejected> {
        self.phase_of(host).ok_or(Rejected::Malformed("the plan has no host of that number"))
    }

    /// Orders: generations that rise from the newest on, so that none can be given twice.
    pub(super) fn check_generations(&self, orders: &[Ordered]) -> Result<(), Rejected> {
        let mut newest = self.newest;
        for order in orders {
            if order.generation <= newest {
                return Err(Rejected::OldGeneration { got: order.generation, newest });
            }
            newest = order.generation;
        }
        Ok(())
    }
}
