//! The contract that every kind of store keeps. A new kind is one line in [`kinds!`]; a new promise is one function and one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

mod conflicts;
mod content;
mod cost;
mod crash;
mod damage;
pub(super) mod durable;
mod failing_disk;
mod findings;
mod full_disk;
mod large;
mod reads;
pub(super) mod work;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;

use super::{Change, Result, Store, StoreError, Write, open};

/// A store of one kind in a folder of its own.
pub(super) struct Bed {
    pub kind: &'static str,
    folder: tempfile::TempDir,
    store: Option<Arc<dyn Store>>,
}

impl Bed {
    pub(super) fn new(kind: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(open(kind, &folder.path().join("store")).unwrap());
        Self { kind, folder, store }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    pub(super) fn close(&mut self) {
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "a test kept the store open");
    }

    pub(super) fn reopen(&mut self) -> Arc<dyn Store> {
        if self.store.is_some() {
            self.close();
        }
        self.store = Some(open(self.kind, &self.path()).unwrap());
        self.store()
    }
}

/// Writes changes without conditions.
pub(super) fn write(store: &Arc<dyn Store>, changes: Vec<Change>) -> Result<u64> {
    store.write(Write::new(changes))
}

/// The guard that a write failed by.
pub(super) fn failed_guard(result: Result<u64>) -> super::Guard {
    match result {
        Err(StoreError::Guard { guard, .. }) => guard,
        other => panic!("expected a failed guard, got {other:?}"),
    }
}

macro_rules! kinds {
    ($kind:ident: $($file:ident::{$($promise:ident),+ $(,)?})+) => {
        mod $kind {
            $($(#[test] fn $promise() { super::$file::$promise(super::Bed::new(stringify!($kind))); })+)+
        }
    };
}

macro_rules! promises_of_all {
    ($($kind:ident),+) => {$(
        kinds!($kind:
            writes::{
                a_write_is_read_back_and_takes_the_next_revision,
                a_write_that_fails_leaves_nothing_behind_and_takes_no_revision,
                writes_of_one_group_see_one_another_and_fail_alone,
                a_write_with_too_many_changes_is_refused,
                a_record_has_the_store_s_revision_whatever_the_caller_says,
                an_update_of_a_host_touches_only_its_fields,
                a_missing_record_is_named,
                a_token_is_used_until_its_limit_and_not_when_revoked,
                halt_and_quarantine_raise_the_fleet_s_revision_and_nothing_else_does,
                a_quarantine_is_lifted_and_stays_on_record,
                an_earlier_revocation_stands,
                older_revisions_of_a_policy_stay_readable,
                generations_are_never_given_twice,
                every_guard_holds_and_fails_as_it_says,
            }
            reads::{
                pages_are_ordered_bounded_and_complete,
                keys_that_begin_alike_do_not_mix,
                a_rollout_s_log_reads_from_any_record,
                a_rollout_s_log_takes_records_only_at_its_end,
                a_plan_never_changes,
                events_and_audit_are_numbered_and_the_audit_chain_holds,
                a_snapshot_does_not_see_later_writes,
                a_new_store_is_empty_and_whole,
            }
            content::{
                an_inventory_is_read_back_whole_and_stored_once,
                package_versions_have_durable_ids_that_inventories_share,
                candidates_are_read_back,
                content_goes_when_the_last_host_leaves_it,
                a_host_cannot_have_content_that_is_not_there,
            }
            findings::{
                a_feed_s_generations_are_kept_apart_until_they_are_dropped,
                a_removed_feed_leaves_nothing_behind,
                the_log_of_findings_takes_entries_only_at_its_end,
                equal_transitions_are_kept_once,
                the_first_sight_of_a_fix_stands,
            }
            conflicts::{
                of_many_appends_at_one_revision_exactly_one_wins,
                of_many_claims_of_one_host_exactly_one_rollout_wins,
                a_token_used_at_once_by_many_is_used_exactly_its_limit,
                revisions_are_gapless_under_many_writers,
            }
        );
    )+};
}
promises_of_all!(memory, redb, sled);

macro_rules! promises_of_files {
    ($($kind:ident in $module:ident),+) => {$(
        mod $module {
            kinds!($kind:
                durable::{
                    everything_is_there_after_reopening,
                    a_second_opener_is_refused_and_named,
                    files_are_readable_by_their_owner_only,
                    a_large_value_survives_reopening,
                }
                damage::{
                    a_cut_file_is_refused_or_whole,
                    a_garbled_file_is_refused_or_whole,
                    a_file_of_zeros_or_noise_is_refused,
                }
                crash::{ every_acknowledged_write_survives_kill_9 }
                full_disk::{ a_full_disk_loses_nothing }
                failing_disk::{ a_device_that_fails_under_the_store_loses_nothing }
                large::{ a_large_store_opens_in_bounded_memory }
            );
            use super::{Bed, crash, damage, durable, failing_disk, full_disk, large};
        }
    )+};
}
promises_of_files!(redb in redb_files, sled in sled_files);
