//! What a migration must hold, as an operator would see it: the real binary, a real endpoint, writers from outside.
//!
//! A case is a function of its surroundings; `for_each_case!` makes a test of each, on the endpoint of the target that
//! calls it. A case that is not in the list is dead code, and the compiler says so.

pub(crate) mod chaos;
pub(crate) mod claims;
pub(crate) mod copying;
pub(crate) mod cutover;
pub(crate) mod fixtures;
pub(crate) mod kills;
pub(crate) mod lag;
pub(crate) mod output;
pub(crate) mod quarantine;
pub(crate) mod refusals;
pub(crate) mod runners;
pub(crate) mod shapes;
pub(crate) mod transforms;
pub(crate) mod upsets;
pub(crate) mod values;
pub(crate) mod verbs;
pub(crate) mod watching;

use crate::support::layout::{Keys, Kind, Layout, Projection};

macro_rules! for_each_case {
    ($start:path) => {
        emit_tests! { $start;
            fixtures:
                every_value_comes_back_as_it_was
                two_places_share_no_table
                a_stream_carries_what_its_view_says
                an_index_refuses_a_key_of_another_type
                the_checker_takes_two_notations_of_one_value_for_equal
                the_checker_finds_a_missing_item
                the_checker_finds_an_extra_item
                the_checker_finds_a_changed_nested_number
                the_checker_finds_a_changed_type
                the_checker_wants_one_claimant_and_the_others_in_quarantine
                the_checker_finds_a_wrong_quarantine
                the_checker_lets_a_quarantined_item_keep_its_earlier_image
                the_writers_know_what_the_source_holds
                a_process_is_followed_from_its_log_to_its_end
                a_drain_is_not_believed_before_its_time;
            shapes:
                a_table_keyed_by_a_string
                a_table_keyed_by_a_number
                a_table_keyed_by_a_binary
                a_table_with_a_string_as_its_sort_key
                a_table_with_a_number_as_its_sort_key
                a_table_with_a_binary_as_its_sort_key
                a_local_index_in_the_target
                a_stream_of_keys_only
                a_stream_of_new_images
                a_stream_of_old_images
                a_stream_of_new_and_old_images
                source_and_shadow_in_two_regions;
            copying:
                a_delete_during_the_copy_is_not_resurrected
                an_item_deleted_and_inserted_again_is_the_new_one
                a_hot_key_ends_at_its_last_update
                an_insert_and_a_delete_in_the_same_second_leave_nothing;
            transforms:
                a_new_key_built_from_the_old_one
                an_item_that_moves_to_another_key_leaves_nothing_behind
                every_rule_does_what_it_says
                an_item_changed_into_a_dropped_one_is_deleted
                a_sparse_index_holds_only_what_belongs_in_it
                an_item_without_a_place_in_the_shadow_is_quarantined
                items_that_collide_for_good_are_all_shown
                swaps_of_shadow_keys_survive_sigkills;
            values:
                the_smallest_item_and_one_of_390_kilobytes
                numbers_and_nested_values_at_the_edges;
            quarantine:
                what_the_new_index_refuses_is_quarantined_until_it_is_fixed_or_deleted;
            refusals:
                an_empty_table_is_tailed
                a_missing_source_is_named
                a_source_without_a_stream_is_refused_with_the_command_that_helps
                a_shadow_that_drifted_is_refused_field_by_field
                a_shadow_that_is_neither_empty_nor_ours_is_refused
                a_changed_target_is_refused_with_what_differs
                a_changed_transform_is_refused_with_the_rule
                a_state_written_by_a_newer_version_is_refused;
            runners:
                a_second_runner_stands_by_and_takes_over
                a_takeover_at_the_default_lease
                a_clean_stop_resumes_where_it_was;
            cutover:
                a_cutover_moves_a_writing_application_and_loses_nothing
                each_gate_refuses_in_turn_with_its_remedy
                a_program_may_call_shadowtable
                what_the_shadow_lacks_is_shown_before_a_cutover
                a_fence_that_fails_hangs_or_lies_leaves_the_source_open
                a_switch_that_fails_keeps_the_source_fenced_until_the_operator_decides
                a_sigkill_after_each_audit_entry_comes_to_a_definite_end;
            kills:
                thirty_sigkills_under_live_writes_lose_nothing;
            upsets:
                a_source_recreated_under_its_name_is_noticed
                a_shadow_deleted_under_us_is_noticed
                a_stream_disabled_by_somebody_is_noticed
                a_stream_disabled_while_nobody_ran_is_noticed;
            verbs:
                the_status_says_everything_it_promises
                a_paused_copy_lets_the_tail_go_on
                a_full_pause_writes_nothing
                an_aborted_migration_writes_no_more
                a_reseed_starts_again_on_an_empty_shadow;
            lag:
                lag_grows_while_a_shards_reader_hangs
                lag_grows_while_the_endpoint_is_down
                lag_grows_while_credentials_are_expired
                lag_grows_while_the_applier_is_throttled
                lag_grows_while_replies_to_writes_are_lost_or_fail
                lag_is_true_while_every_answer_is_slow
                lag_grows_while_a_child_shard_is_not_discovered
                lag_is_true_over_a_split_under_writes
                lag_is_true_when_a_paused_process_goes_on
                lag_is_true_ten_minutes_behind_and_between_two_pages;
            claims:
                of_two_migrations_started_together_one_has_the_shadow
                a_shadow_is_no_source_before_its_switch
                an_abort_lists_what_the_migration_made_and_nothing_else
                a_shadow_that_is_left_behind_is_not_forgotten
                a_stream_of_a_migration_that_never_began_is_listed
                an_ended_migration_is_forgotten_with_its_claims
                a_plan_is_changed_until_something_is_copied
                most_items_refused_is_seen_before_anything_is_made
                a_standby_that_would_cut_over_otherwise_is_ready_and_says_so
                a_standby_that_is_configured_otherwise_is_not_ready_and_leaves_the_lease;
            output:
                a_log_that_nobody_takes_ends_nothing
                no_verb_panics_when_nobody_reads_it
                a_process_under_nohup_outlives_its_terminal
                every_line_of_a_log_in_json_is_json_and_names_the_migration;
            chaos:
                a_hundred_sigkills_with_splits_and_throttles_lose_nothing
                shadow_keys_swapped_between_shards_survive_bad_weather
                a_batch_that_lands_late_overwrites_nothing
                a_holder_that_was_frozen_writes_nothing_after_a_takeover
                shards_that_split_again_and_again_are_followed
                shards_that_split_while_nobody_ran_are_read_in_their_order
                iterators_that_expire_are_replaced
                records_that_were_trimmed_while_nobody_ran_are_lost_history
                records_that_are_trimmed_under_their_reader_are_lost_history
                a_permission_that_is_taken_away_ends_the_process_with_its_name
                credentials_that_expire_are_waited_for
                a_cutover_in_bad_weather_loses_nothing;
            watching:
                the_status_document_is_what_its_page_says
                a_status_is_watched_from_outside_until_nobody_works
                the_hook_on_ready_is_told_once
                the_admin_port_answers_to_known_names_and_within_bounds;
        }
    };
}

macro_rules! emit_tests {
    ($start:path; $($module:ident: $($case:ident)+;)+) => {
        $(
            #[cfg(test)]
            mod $module {
                $(
                    #[test]
                    fn $case() {
                        $crate::support::context::Ctx::run($start, $crate::cases::$module::$case);
                    }
                )+
            }
        )+
    };
}

/// The key of most cases' sources.
const ID: Keys = &[("id", Kind::S)];

const BY_STATUS: Keys = &[("status", Kind::S), ("updated_at", Kind::N)];

/// A source as it often is: an index that turned out to project too little.
fn before(keys: Keys) -> Layout {
    Layout::new(keys).with_global("by-status", BY_STATUS, Projection::KeysOnly)
}

/// The same with another projection under the same name, which only a rebuild can reach.
fn after(keys: Keys) -> Layout {
    Layout::new(keys).with_global("by-status", BY_STATUS, Projection::Include(&["customer", "total"]))
}
