//! The contract that every package manager passes, run on the simulated one and on real dpkg and apt in a root of their own; and what
//! holds for dpkg and apt alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod apt_archive;
mod apt_database;
mod apt_interrupted;
mod apt_world;
mod capture;
mod contract;
mod contract_back;
mod simulated_world;
mod world;

/// Runs each contract test on each package manager.
macro_rules! contract {
    ($($module:ident: $($test:ident),+ $(,)?;)+) => {
        mod simulated {
            $($(#[test] fn $test() { crate::$module::$test(&mut crate::simulated_world::SimulatedWorld::new()); })+)+
        }
        mod dpkg {
            $($(#[test] fn $test() {
                if let Some(mut world) = crate::apt_world::AptWorld::new() { crate::$module::$test(&mut world); }
            })+)+
        }
    };
}

contract! {
    contract:
        the_inventory_tells_versions_marks_and_holds,
        the_fingerprint_changes_when_packages_do_and_only_then,
        candidates_tell_origin_and_what_blocks_them,
        a_transaction_reaches_exactly_the_targets_and_keeps_marks,
        applying_again_repeats_nothing,
        what_the_plan_did_not_see_is_refused,
        holds_and_pins_are_never_overridden,
        removals_and_new_packages_need_permission,
        quarantine_is_enforced_and_lifted,
        a_version_staged_before_it_left_the_archive_can_be_applied,
        a_version_that_left_the_archive_is_gone,
        other_contents_under_the_planned_version_are_refused,
        an_original_that_left_the_archive_is_named,
        a_stage_is_cleaned_of_what_nobody_needs;
    contract_back:
        an_edit_of_a_conffile_that_did_not_change_is_left_alone,
        the_way_back_is_exact,
        the_way_back_works_from_a_failed_configuration,
        the_way_back_from_nothing_changes_nothing,
        the_way_back_restores_a_removed_package,
        the_way_back_can_be_repeated_after_each_step,
        a_difference_that_stays_is_told,
        a_receipt_is_read_back_and_a_damaged_one_refused;
}
