//! Carries the machine's actions out and brings it the facts. One task owns the machine; whatever blocks runs on threads.
//!
//! Order: the actions of one step are done in order, and a record is on disk before anything after it is done. Nothing here decides
//! about packages; what decides is in `machine`.

mod staging;
mod start;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use patchwave_common::domain::{Generation, Order, QuarantineKey, RefusalReason};
use patchwave_common::runtime::clock::Clock;
use tokio::sync::{mpsc, watch};

use super::handle::{Command, Event, PatchingStatus, write_status};
use super::journal::JournalError;
use super::machine::{Action, Case, Comparison, End, Examination, Fact, Fence, Input, JobId, Machine, Moment, Record, Refusal, State};
use super::retention;
use super::store::Store;
use crate::health::{self, HealthContext};
use staging::Staging;
use work::Work;

pub(super) use start::start;

/// Facts wait in a queue of this length; at most a few jobs run at once.
const FACTS: usize = 64;
/// Old files are looked for so often; what they bound is days and gigabytes.
const CLEAN_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two attempts to write a record that must be written: a disk that is full now may not be in a while.
const RECORD_RETRY: Duration = Duration::from_secs(5);

/// What threads and tasks of the driver tell it.
#[derive(Debug)]
enum Told {
    Fact { job: JobId, fact: Fact },
    Staged(staging::Outcome),
    Cleaned,
}

pub(super) struct Driver {
    machine: Machine,
    store: Arc<Mutex<Store>>,
    work: Arc<Work>,
    health: Arc<HealthContext>,
    clock: Arc<dyn Clock>,
    commands: mpsc::Receiver<Command>,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    events: mpsc::Sender<Event>,
    status: watch::Sender<PatchingStatus>,
    staging: Staging,
    /// A fence that could not be written yet.
    unsaved_fence: Option<Fence>,
    /// The list that the package manager was told last in this run.
    pinned: Option<BTreeSet<QuarantineKey>>,
    cleaned_at: Option<Instant>,
    cleaning: bool,
}

impl Driver {
    /// Runs until every handle is gone.
    async fn run(mut self, first: Vec<Action>) {
        self.perform(first).await;
        self.pin(self.machine.quarantine().clone()).await;
        self.tell_status().await;
        loop {
            let pause = self.pause();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                Some(told) = self.told.recv() => self.hear(told).await,
                () = tokio::time::sleep(pause) => self.look_around().await,
            }
            self.tell_status().await;
        }
        self.work.stop.store(true, Ordering::Relaxed);
    }

    /// Until the machine is due, but not longer than the poll interval: the runtime's clock stands still while the host sleeps.
    fn pause(&self) -> Duration {
        let now = self.clock.boottime_ms();
        let due = self.machine.wake_at().map(|at| Duration::from_millis(at.saturating_sub(now)));
        due.map_or(self.work.settings.poll, |due| due.min(self.work.settings.poll))
    }

    fn now(&self) -> Moment {
        Moment { boot_id: self.clock.boot_id(), boottime_ms: self.clock.boottime_ms(), wall: self.clock.now() }
    }

    async fn command(&mut self, command: Command) {
        let input = match command {
            Command::Connected => Input::Connected,
            Command::ClockOffset { offset_ms } => Input::ClockOffset { offset_ms },
            Command::Directive(directive) => {
                let case = match &directive.order {
                    Order::TakeBack(order) => self.case(order.of, false).await,
                    Order::Apply(_) => None,
                };
                Input::Directive { directive, case: case.map(Box::new) }
            }
            Command::Withdraw(generation) => Input::Withdrawn { generation },
            Command::Lease { lease, asked_ms } => Input::Lease { lease, asked_ms },
            Command::Conclude { generation, keep_originals } => {
                let case = self.case(generation, true).await;
                Input::Concluded { generation, keep: keep_originals, case: case.map(Box::new) }
            }
            Command::Quarantine(keys) => {
                let keys: BTreeSet<QuarantineKey> = keys.into_iter().collect();
                self.pin(keys.clone()).await;
                Input::Quarantine(keys)
            }
            Command::Stage(request) => {
                self.enqueue_stage(request);
                return;
            }
        };
        self.step(input).await;
    }

    async fn hear(&mut self, told: Told) {
        match told {
            Told::Fact { job, fact } => self.step(Input::Fact { job, fact }).await,
            Told::Staged(outcome) => self.staged(outcome),
            Told::Cleaned => self.cleaning = false,
        }
    }

    /// What nobody tells: time, the hold file, old files, a fence that could not be written.
    async fn look_around(&mut self) {
        if let Some(fence) = self.unsaved_fence.take() {
            self.save_fence(fence).await;
        }
        self.step(Input::Tick).await;
        self.clean();
    }

    /// One input, with the hold looked at first: nothing begins that the owner stopped a moment ago.
    async fn step(&mut self, input: Input) {
        let hold = crate::hold::read(&self.work.settings.state_dir).map(|hold| hold.reason);
        let mut inputs = VecDeque::from([input]);
        if hold.as_deref() != self.machine.hold() {
            inputs.push_front(Input::Hold(hold));
        }
        while let Some(input) = inputs.pop_front() {
            let actions = self.machine.step(&self.now(), input);
            if let Some(failed) = self.perform(actions).await {
                inputs.push_front(failed);
            }
        }
    }

    /// Does the actions in order. An input to go on with where a record could not be written on which nothing was begun.
    async fn perform(&mut self, actions: Vec<Action>) -> Option<Input> {
        for action in actions {
            match action {
                Action::SaveFence(fence) => self.save_fence(fence).await,
                Action::Record { case, record } => {
                    if let Err(detail) = self.record(case, *record).await {
                        return Some(Input::CannotRecord { detail });
                    }
                }
                Action::Report { generation, rollout, progress } => {
                    tracing::info!(%generation, %rollout, ?progress, "directive");
                    self.tell_session(Event::Progress { generation, rollout, progress });
                }
                Action::RunChecks { job, health } => self.run_checks(job, health.checks),
                Action::Examine { job, apply } => {
                    let unanswered = Examination { obstacle: Some(unanswered()), ..Examination::default() };
                    self.ask(job, Fact::Examined(unanswered), move |work, _| Fact::Examined(work.examine(&apply)));
                }
                Action::WriteReceipt { job, case } => {
                    let write = move |work: &Work, store: &Mutex<Store>| Fact::ReceiptWritten(work.write_receipt(store, case));
                    self.ask(job, Fact::ReceiptWritten(Err(unanswered())), write);
                }
                Action::Confirm { job, case } => {
                    let unanswered = Fact::Confirmed(Err(unanswered().detail));
                    self.ask(job, unanswered, move |work, _| Fact::Confirmed(work.confirm(case)));
                }
                Action::Compare { job, case } => {
                    let unknown = vec![unanswered().detail];
                    let unanswered = Fact::Compared(Comparison { target: unknown.clone(), receipt: unknown });
                    self.ask(job, unanswered, move |work, _| Fact::Compared(work.compare(case)));
                }
                Action::Start { job, transaction, apply, lease } => {
                    self.follow(job, move |work, store, claimed| work.transact(store, transaction, &apply, lease, claimed))
                }
                Action::Attach { job, transaction, apply } => {
                    self.follow(job, move |work, _, claimed| work.attach(transaction, &apply, claimed));
                }
            }
        }
        None
    }

    /// Appends a record. One that tells of something begun is tried until it is written: nothing may go on without it.
    async fn record(&mut self, case: Generation, record: Record) -> Result<(), String> {
        let begins = matches!(record, Record::Accepted { .. } | Record::Begun { .. });
        let refuses = matches!(record, Record::Finished { end: End::Refused(_) });
        let record = Arc::new(record);
        loop {
            let (store, record) = (self.store.clone(), record.clone());
            let append = move || store.lock().unwrap_or_else(PoisonError::into_inner).append(case, &record);
            let result = tokio::task::spawn_blocking(append).await;
            let error: String = match result {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => describe(&error),
                Err(error) => error.to_string(),
            };
            tracing::error!(%case, error, "a record of the journal cannot be written");
            if begins {
                return Err(error);
            }
            // The end of an order on which nothing was begun: it is looked at again after a restart, and refused again.
            if refuses || self.commands.is_closed() {
                return Ok(());
            }
            tokio::time::sleep(RECORD_RETRY).await;
        }
    }

    async fn save_fence(&mut self, fence: Fence) {
        let (store, kept) = (self.store.clone(), fence.clone());
        let save = move || store.lock().unwrap_or_else(PoisonError::into_inner).save_fence(&kept);
        match tokio::task::spawn_blocking(save).await {
            Ok(Ok(())) => self.unsaved_fence = None,
            Ok(Err(error)) => {
                // The journal of an accepted order fences too; this one is tried again.
                tracing::error!(%error, "the fence cannot be written");
                self.unsaved_fence = Some(fence);
            }
            Err(error) => tracing::error!(%error, "the fence cannot be written"),
        }
    }

    async fn case(&self, generation: Generation, or_its_take_back: bool) -> Option<Case> {
        let store = self.store.clone();
        let read = move || {
            let store = store.lock().unwrap_or_else(PoisonError::into_inner);
            if or_its_take_back { store.case_of(generation) } else { store.case(generation) }
        };
        let result: Result<Option<Case>, JournalError> = tokio::task::spawn_blocking(read).await.ok()?;
        result.map_err(|error| tracing::error!(%error, "a case cannot be read")).ok().flatten()
    }

    /// Makes the host itself refuse what is in quarantine, and remembers the list.
    async fn pin(&mut self, keys: BTreeSet<QuarantineKey>) {
        if self.pinned.as_ref() == Some(&keys) {
            return;
        }
        let (store, work, list) = (self.store.clone(), self.work.clone(), keys.clone());
        let pin = move || {
            if list.is_empty() && !store.lock().unwrap_or_else(PoisonError::into_inner).has_quarantine() {
                return Ok(());
            }
            if let Err(error) = store.lock().unwrap_or_else(PoisonError::into_inner).save_quarantine(&list) {
                tracing::error!(%error, "the quarantine cannot be kept across a restart");
            }
            work.manager.set_quarantine(&list.into_iter().collect::<Vec<_>>())
        };
        match tokio::task::spawn_blocking(pin).await {
            Ok(Ok(())) => self.pinned = Some(keys),
            Ok(Err(error)) => tracing::error!(%error, "the package manager does not take the quarantine"),
            Err(error) => tracing::error!(%error, "the package manager does not take the quarantine"),
        }
    }

    fn run_checks(&self, job: JobId, checks: Vec<patchwave_common::domain::HealthCheck>) {
        let (health, tell) = (self.health.clone(), self.tell.clone());
        tokio::spawn(async move {
            let round = health::run_round(checks, health).await;
            // Nobody listens once the driver has ended.
            let _ = tell.send(Told::Fact { job, fact: Fact::Checked(round) }).await;
        });
    }

    /// Asks on a thread. One that comes to no answer (a fault of ours) must not leave the machine waiting for ever: then `unanswered` holds.
    fn ask(&self, job: JobId, unanswered: Fact, question: impl FnOnce(&Work, &Mutex<Store>) -> Fact + Send + 'static) {
        let (work, store, tell) = (self.work.clone(), self.store.clone(), self.tell.clone());
        let answer = tokio::task::spawn_blocking(move || question(&work, &store));
        tokio::spawn(async move {
            let fact = answer.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a question about the packages was not answered");
                unanswered
            });
            let _ = tell.send(Told::Fact { job, fact }).await;
        });
    }

    /// Follows a transaction on a thread of its own: it may take an hour, and the runtime must not wait for it when it ends.
    fn follow<F>(&self, job: JobId, act: F)
    where
        F: FnOnce(&Work, &Mutex<Store>, &mut dyn FnMut()) -> Option<super::machine::TransactionOutcome> + Send + 'static,
    {
        let (work, store, tell) = (self.work.clone(), self.store.clone(), self.tell.clone());
        std::thread::spawn(move || {
            let mut claimed = || {
                let _ = tell.blocking_send(Told::Fact { job, fact: Fact::Claimed });
            };
            if let Some(outcome) = act(&work, &store, &mut claimed) {
                let _ = tell.blocking_send(Told::Fact { job, fact: Fact::Ended(outcome) });
            }
        });
    }

    fn tell_session(&self, event: Event) {
        if let Err(error) = self.events.try_send(event) {
            // The next hello carries the directive's whole history.
            tracing::warn!(%error, "the session does not take an event");
        }
    }

    async fn tell_status(&mut self) {
        let status = self.present_status();
        if *self.status.borrow() == status {
            return;
        }
        self.status.send_replace(status.clone());
        let state_dir = self.work.settings.state_dir.clone();
        let written = tokio::task::spawn_blocking(move || write_status(&state_dir, &status)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the status file cannot be written");
        }
    }

    fn present_status(&self) -> PatchingStatus {
        PatchingStatus {
            state: self.machine.state().name().to_owned(),
            history: self.machine.history().cloned(),
            newest_generation: self.machine.newest_generation(),
            hold: self.machine.hold().map(str::to_owned),
            directory: self.work.settings.directory(),
        }
    }

    /// Deletes what is beyond its time or the disk bound, while nothing is going on that needs it.
    fn clean(&mut self) {
        let due = self.cleaned_at.is_none_or(|at| at.elapsed() >= CLEAN_INTERVAL);
        let quiet = matches!(self.machine.state(), State::Idle | State::Watching(_)) && self.staging.is_idle();
        if !due || !quiet || self.cleaning {
            return;
        }
        self.cleaned_at = Some(Instant::now());
        self.cleaning = true;
        let (work, store, tell, now) = (self.work.clone(), self.store.clone(), self.tell.clone(), self.clock.now());
        let present = self.machine.state().apply().map(|apply| apply.generation);
        tokio::task::spawn_blocking(move || {
            let needed = work.needed_digests();
            let _staging = work.stage_lock.lock().unwrap_or_else(PoisonError::into_inner);
            let bounds = retention::Bounds { now, disk_bound_bytes: work.settings.disk_bound_bytes, present };
            match retention::clean(&store, &work.settings.stage_dir(), &bounds, &needed) {
                Ok(report) if report != retention::Cleaned::default() => tracing::info!(?report, "old files are gone"),
                Ok(_) => {}
                Err(error) => tracing::warn!(error, "old files cannot be cleaned up"),
            }
            let _ = tell.blocking_send(Told::Cleaned);
        });
    }
}

fn unanswered() -> Refusal {
    Refusal::new(RefusalReason::PackageManagerBroken, "the agent could not ask the package manager (hint: its log says why)")
}

fn describe(error: &JournalError) -> String {
    if error.is_disk_full() { format!("{error} (hint: make room on that disk)") } else { error.to_string() }
}
