//! Reads rollouts, claims and the fleet's rules from the store.

use std::collections::BTreeSet;

use patchwave_common::domain::RolloutId;

use super::Conductor;
use crate::records::{ClaimRecord, QuarantineRecord, RolloutHead};
use crate::rollout::{Halt, Rollout};
use crate::rollout_log;
use crate::store::{MAX_PAGE, Result, StoreError, StoreRead};

impl Conductor {
    /// Everything that has not ended, and what has ended and still orders a host (one that is lost and is taken back when it returns).
    pub(super) async fn load_all(&mut self) -> Result<()> {
        self.first_epoch = self.store.read(|store| Ok(store.identity()?.epoch)).await?;
        self.reload_rules().await;
        self.reload_claims().await?;
        let holders: BTreeSet<RolloutId> = self.claims.values().map(|(holder, _)| holder.clone()).collect();
        let live = move |head: &RolloutHead| !super::is_ended_name(&head.state) || holders.contains(&head.id);
        for id in self.store.read(move |store| ids_of(store, live)).await? {
            if let Some(rollout) = self.load_rollout(&id).await? {
                self.rollouts.insert(id, rollout);
            }
        }
        tracing::info!(rollouts = self.rollouts.len(), claims = self.claims.len(), "rollouts loaded");
        Ok(())
    }

    /// One rollout from its plan and its log.
    pub(super) async fn load_rollout(&self, id: &RolloutId) -> Result<Option<Rollout>> {
        let id = id.clone();
        self.store.read(move |store| load(store, &id)).await
    }

    /// Tries again to read what could not be read after a failed append.
    pub(super) async fn load_what_is_missing(&mut self) {
        if !self.look_all || self.unloaded.is_empty() {
            return;
        }
        if let Err(error) = self.reload_claims().await {
            tracing::warn!(%error, "claims can still not be read");
            return;
        }
        for id in std::mem::take(&mut self.unloaded) {
            match self.rollout(&id).await {
                Ok(_) => tracing::info!(rollout = %id, "the rollout could be loaded again"),
                Err(error) => {
                    tracing::warn!(rollout = %id, %error, "the rollout can still not be loaded");
                    self.unloaded.insert(id);
                }
            }
        }
    }

    /// Who orders whom.
    pub(super) async fn reload_claims(&mut self) -> Result<()> {
        let claims =
            self.store.read(|store| pages(|after| store.claims(after, MAX_PAGE), |claim: &ClaimRecord| claim.host.clone())).await?;
        self.claims = claims.into_iter().map(|claim| (claim.host, (claim.rollout, claim.generation))).collect();
        self.publish_claims();
        Ok(())
    }

    /// Halt and quarantine. Where they cannot be read, nothing may begin: the halt is taken to be on.
    pub(super) async fn reload_rules(&mut self) {
        let read = self
            .store
            .read(|store| {
                let quarantine = pages(|after| store.quarantine(after, MAX_PAGE), |record: &QuarantineRecord| record.key.clone())?;
                Ok((store.halt()?, store.fleet_revision()?, quarantine))
            })
            .await;
        match read {
            Ok((halt, revision, quarantine)) => {
                self.halt = Halt { on: halt.is_some_and(|halt| halt.on), revision };
                self.quarantine = quarantine.into_iter().filter(|record| record.lifted.is_none()).map(|record| record.key).collect();
                self.publish_quarantine();
            }
            Err(error) => {
                tracing::error!(%error, "halt and quarantine cannot be read; nothing may begin");
                self.halt.on = true;
            }
        }
    }

    /// The fleet's revision after a write of our own that raised it.
    pub(super) async fn refresh_fleet_revision(&mut self) -> Result<()> {
        self.halt.revision = self.store.read(|store| store.fleet_revision()).await?;
        Ok(())
    }
}

fn load(store: &dyn StoreRead, id: &RolloutId) -> Result<Option<Rollout>> {
    let damaged = |detail: String| StoreError::Damaged { path: format!("rollout {id}").into(), detail };
    let (Some(header), Some(head)) = (store.plan_header(id)?, store.rollout(id)?) else { return Ok(None) };
    let mut segments = Vec::new();
    while let Some(segment) = store.plan_segment(id, u32::try_from(segments.len()).unwrap_or(u32::MAX))? {
        segments.push(segment);
    }
    let sealed = rollout_log::open(head.plan_root, &header, &segments).map_err(|error| damaged(error.to_string()))?;
    let mut rollout = Rollout::new(sealed);
    loop {
        let page = store.rollout_log(id, rollout.revision(), MAX_PAGE)?;
        let last = page.len() < MAX_PAGE;
        for bytes in page {
            let recorded = rollout_log::decode(&bytes).map_err(|error| damaged(error.to_string()))?;
            rollout.step(&recorded).map_err(|error| damaged(format!("record {}: {error}", rollout.revision())))?;
        }
        if last {
            return Ok(Some(rollout));
        }
    }
}

/// The rollouts whose summary `wanted` takes. Those that ended long ago are many: only one page of them is in memory at a time.
fn ids_of(store: &dyn StoreRead, wanted: impl Fn(&RolloutHead) -> bool) -> Result<Vec<RolloutId>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.rollouts(after.as_ref(), MAX_PAGE)?;
        found.extend(page.iter().filter(|head| wanted(head)).map(|head| head.id.clone()));
        if page.len() < MAX_PAGE {
            return Ok(found);
        }
        after = page.last().map(|head| head.id.clone());
    }
}

/// Reads every page of a list.
fn pages<T, K>(page: impl Fn(Option<&K>) -> Result<Vec<T>>, key: impl Fn(&T) -> K) -> Result<Vec<T>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let next = page(after.as_ref())?;
        let last = next.len() < MAX_PAGE;
        after = next.last().map(&key);
        all.extend(next);
        if last {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use patchwave_common::runtime::clock::SystemClock;

    use crate::conductor::start;
    use crate::conductor::tests::parts;
    use crate::store::testing::{rollout_id, store_with_failing_reads};

    #[tokio::test]
    async fn a_rollout_that_could_not_be_read_again_is_read_as_soon_as_the_store_can() {
        let (store, fails) = store_with_failing_reads();
        let conductor = start(parts(store, Arc::new(SystemClock::new()))).await.unwrap();
        // As after an append that failed together with the reads that followed it.
        fails.store(true, Ordering::SeqCst);
        assert!(conductor.ask(|conductor| conductor.unloaded.insert(rollout_id("r-1"))).await.unwrap());
        let look = |conductor: &mut super::Conductor| {
            conductor.look_all = true;
            conductor.unloaded.len()
        };
        for _ in 0..10 {
            assert_eq!(conductor.ask(look).await.unwrap(), 1);
            tokio::task::yield_now().await;
        }
        fails.store(false, Ordering::SeqCst);
        for _ in 0..1_000 {
            if conductor.ask(look).await.unwrap() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(conductor.ask(look).await.unwrap(), 0, "nobody would carry it on");
    }
}
