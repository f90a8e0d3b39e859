//! Keeps orders newer than anything that an agent has seen.
//!
//! One backup restored twice gives one epoch twice, and counters begin anew in each: an agent that obeyed the first restored controller
//! would refuse the second's orders as old. So a hello that shows a generation which this store never gave raises the epoch above it, on
//! disk, before anything is sent to that agent.

use patchwave_common::domain::{Generation, Hello, HostId};

use super::Conductor;
use crate::records::FleetEvent;
use crate::store::{Change, StoreError, Write};

/// How far hellos may raise the epoch above that of the start, in one run of the controller and all hosts together.
///
/// Each honest step is a restore, which a person did: a fleet sees a handful in its life, so a hundred is beyond any honest distance. An
/// agent that lies (its host was taken over) could otherwise push the epoch to its end, after which no order is newer than one given and
/// the fleet cannot be patched any more. With this bound it gains a hundred of 2^32 for each start of the controller, which it cannot
/// cause: that would take forty million starts. Epochs cost nothing, so what it gains is of no use to it.
pub(super) const MAX_EPOCH_RAISE: u32 = 100;

impl Conductor {
    /// Raises the epoch above what an agent has seen, where this store never gave that; refused, with an alarm, beyond the bound.
    pub(super) async fn outrun(&mut self, host: &HostId, hello: &Hello) {
        let Some(seen) = hello.newest.max(hello.directive.as_ref().map(|history| history.generation)) else { return };
        let next = match self.next_generation().await {
            Ok(next) => next,
            // Whatever is ordered needs a generation too, so nothing goes out before the store is well again.
            Err(error) => return tracing::error!(%host, %error, "it cannot be told whether this store gave what the agent has seen"),
        };
        if seen < next {
            return;
        }
        let limit = self.first_epoch.saturating_add(MAX_EPOCH_RAISE);
        if seen.epoch >= limit {
            return self.refuse_epoch(host, seen, limit).await;
        }
        match self.store.raise_epoch(seen.epoch).await {
            Ok(epoch) => {
                self.generations = None;
                let text = format!(
                    "the epoch is {epoch} now: host {host} has seen generation {seen}, which this controller never gave (was a backup restored \
                     twice? make sure that no other controller of this fleet runs)"
                );
                tracing::warn!(%host, %seen, epoch, "the epoch was raised above what an agent has seen");
                self.tell_epoch(host, "epoch-raised", text).await;
            }
            Err(error) => tracing::error!(%host, %seen, %error, "the epoch could not be raised; the agent will refuse orders as old"),
        }
    }

    /// Once for each host and run: a host that lies must not be able to fill the fleet's history either.
    async fn refuse_epoch(&mut self, host: &HostId, seen: Generation, limit: u32) {
        if !self.epoch_refused.insert(host.clone()) {
            return;
        }
        let text = format!(
            "host {host} says that it has seen generation {seen}, and no honest host can have seen epoch {limit} or later: the epoch was not \
             raised and the host will refuse orders (hint: take it for compromised: `patchwave host retire {host}`, look at it, enrol it anew; if \
             backups were restored that often, start the controller again)"
        );
        tracing::error!(%host, %seen, limit, "an agent shows a generation that cannot be; the epoch was not raised");
        self.tell_epoch(host, "epoch-refused", text).await;
    }

    async fn tell_epoch(&self, host: &HostId, kind: &str, text: String) {
        let event = FleetEvent { at: self.clock.now(), kind: kind.to_owned(), host: Some(host.clone()), rollout: None, text };
        if let Err(error) = self.store.write(Write::new(vec![Change::AppendEvent(event)])).await {
            tracing::error!(%host, %error, kind, "what happened to the epoch could not be recorded");
        }
    }

    /// The generation that comes next: every generation that this store gave is older.
    async fn next_generation(&mut self) -> Result<Generation, StoreError> {
        if self.generations.is_none() {
            self.reserve().await?;
        }
        let block = self.generations.as_ref().ok_or(StoreError::Closed)?;
        Ok(Generation { epoch: block.epoch, counter: block.counters.start })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use patchwave_common::domain::{HostFacts, InstanceId, Timestamp};
    use patchwave_common::runtime::clock::ManualClock;

    use super::*;
    use crate::conductor::tests::parts;
    use crate::conductor::{ConductorHandle, start};
    use crate::store::{Store, open_memory};

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    async fn conductor(store: &Arc<dyn Store>) -> ConductorHandle {
        start(parts(store.clone(), Arc::new(ManualClock::new(NOW)))).await.unwrap()
    }

    /// A host says hello, and everything that follows from it is done.
    async fn hello(conductor: &ConductorHandle, host: &str, newest: Option<(u32, u64)>) {
        let hello = Hello {
            instance: InstanceId::parse("i-1").unwrap(),
            agent_version: "1".into(),
            features: Vec::new(),
            inventory: None,
            candidates: None,
            facts: HostFacts::default(),
            clock: NOW,
            directive: None,
            newest: newest.map(|(epoch, counter)| Generation { epoch, counter }),
        };
        conductor.connected(HostId::parse(host).unwrap(), Box::new(hello)).await;
        conductor.ask(|_| ()).await.unwrap();
    }

    fn told(store: &Arc<dyn Store>) -> Vec<String> {
        store.events(0, 100).unwrap().into_iter().map(|record| record.event.kind).collect()
    }

    fn epoch(store: &Arc<dyn Store>) -> u32 {
        store.identity().unwrap().epoch
    }

    #[tokio::test]
    async fn an_agent_that_obeyed_another_controller_of_the_same_backup_is_outrun_once() {
        let store = open_memory().unwrap();
        let first = epoch(&store);
        let conductor = conductor(&store).await;
        hello(&conductor, "h-new", None).await;
        assert_eq!((epoch(&store), told(&store).len()), (first, 0));
        // The same epoch, and a counter far beyond what this store gave.
        hello(&conductor, "h-1", Some((first, 50_000))).await;
        assert_eq!((epoch(&store), told(&store)), (first + 1, vec!["epoch-raised".to_owned()]));
        hello(&conductor, "h-1", Some((first, 50_000))).await;
        hello(&conductor, "h-2", Some((first, 60_000))).await;
        assert_eq!((epoch(&store), told(&store).len()), (first + 1, 1), "that is older than every order now");
        hello(&conductor, "h-3", Some((first + 7, 1))).await;
        assert_eq!(epoch(&store), first + 8);
        let given = store.reserve_generations(1).unwrap().next().unwrap();
        assert!(given > Generation { epoch: first + 7, counter: u64::MAX });
    }

    #[tokio::test]
    async fn what_this_store_gave_raises_nothing_also_after_a_restart() {
        let store = open_memory().unwrap();
        let first = epoch(&store);
        let given = store.reserve_generations(10).unwrap().last().unwrap();
        let conductor = conductor(&store).await;
        hello(&conductor, "h-1", Some((given.epoch, given.counter))).await;
        assert_eq!((epoch(&store), told(&store).len()), (first, 0));
    }

    #[tokio::test]
    async fn a_lying_agent_cannot_push_the_epoch_to_its_end() {
        let store = open_memory().unwrap();
        let first = epoch(&store);
        let conductor = conductor(&store).await;
        for _ in 0..3 {
            hello(&conductor, "h-liar", Some((u32::MAX, u64::MAX))).await;
        }
        assert_eq!((epoch(&store), told(&store)), (first, vec!["epoch-refused".to_owned()]), "told once");
        // Step by step it gets no further than the bound.
        for _ in 0..MAX_EPOCH_RAISE + 50 {
            let now = epoch(&store);
            hello(&conductor, "h-patient", Some((now, u64::MAX))).await;
        }
        assert_eq!(epoch(&store), first + MAX_EPOCH_RAISE);
        // Honest hosts still get orders that are newer than any that they have seen.
        hello(&conductor, "h-honest", Some((first, 3))).await;
        assert!(store.reserve_generations(1).unwrap().next().unwrap() > Generation { epoch: first, counter: u64::MAX });
    }
}
