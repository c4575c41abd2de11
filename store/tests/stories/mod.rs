//! The promises of a store, with either back end. Each story gets a new, empty store; `sqlite.rs` and `postgres.rs` run all of
//! them. Helpers are in `cast.rs`.

// Each back end's tests are a separate program, and some of them do not use every helper.
#![allow(dead_code)]

mod bans;
pub mod cast;
mod components;
mod machines;
mod partitions;
mod players;
mod reports;
mod rooms;
mod sessions;

pub use bans::*;
pub use components::*;
pub use machines::*;
pub use partitions::*;
pub use players::*;
pub use reports::*;
pub use rooms::*;
pub use sessions::*;

/// Makes a test of each story: `$fresh` opens a new store, and its result is kept until the story ends.
#[macro_export]
macro_rules! tell_all_stories {
    ($fresh:path) => {
        $crate::tell_all_stories! { $fresh:
            a_session_comes_back_to_its_rooms_in_order
            a_token_is_good_once
            a_lost_welcome_locks_nobody_out
            a_token_that_was_overtaken_by_the_one_before_it_is_still_good
            a_repeated_resume_has_the_same_answer
            of_many_resumes_at_once_one_token_is_left
            the_edge_that_still_had_a_session_is_named
            an_older_edge_changes_nothing_any_more
            a_join_and_a_resume_elsewhere_never_miss_each_other
            an_edge_that_a_session_has_left_takes_no_room_from_it
            a_session_that_is_kicked_cannot_be_resumed_and_says_why_until_it_expires
            memberships_are_a_set_in_the_order_of_joining
            a_dead_edges_sessions_come_in_pages
            sessions_expire_and_come_again_until_they_are_ended
            a_silent_session_expires_sooner_unless_it_comes_back_or_was_kicked
            a_row_changes_as_its_machine_does
            a_secret_is_drawn_once
            sessions_are_listed_by_player_in_pages
            a_ban_is_of_a_player_or_of_the_networks_around_an_address
            bans_are_listed_in_pages_and_the_latest_of_a_target_counts
            a_ban_ends_by_itself_and_is_deleted
            a_logout_is_of_a_players_tokens_or_of_one_token
            a_session_that_an_operator_expires_is_as_none_until_it_is_ended
            a_session_is_found_by_its_player_the_guest_before_and_its_token
            only_a_higher_snapshot_replaces
            a_host_finds_a_snapshot_an_end_or_nothing
            hashes_of_snapshots_are_kept_for_audits
            two_states_at_one_offset_are_named_and_nothing_is_written
            a_room_that_has_ended_stays_so_and_keeps_no_snapshot
            a_stale_host_takes_no_row_back
            one_batch_may_have_a_room_twice
            two_hosts_write_the_same_rooms_at_once
            rooms_are_listed_latest_first_by_kind_and_status
            timers_come_in_pages_for_the_partitions_that_are_asked_for
            the_highest_offset_is_known
            rooms_are_deleted_long_after_their_end
            a_live_room_without_a_snapshot_is_found_and_can_be_given_up
            a_rooms_json_comes_back_byte_for_byte
            a_report_is_there_once_byte_for_byte
            reports_are_listed_latest_first_by_player_and_in_pages
            old_reports_and_those_beyond_the_bound_are_deleted
            a_players_reports_are_deleted_and_no_others
            snapshots_are_searched_in_pages
            the_sessions_of_a_player_are_found_with_their_rooms
            versions_are_numbered_by_kind
            a_version_waits_until_it_is_activated
            publishers_at_once_get_different_numbers
            the_number_of_partitions_is_written_once
            a_checkpoint_only_rises
            a_plan_is_carried_out_as_a_whole_by_the_holder_of_the_lease
            a_lease_has_one_holder_at_a_time
            of_many_who_want_a_lease_one_gets_it
            no_two_machines_ever_have_one_id
            a_machine_learns_that_it_is_to_drain
            closing_a_machine_disconnects_its_sessions
            a_closed_store_says_so
        }
    };
    ($fresh:path: $($story:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            let Some(place) = $fresh(stringify!($story)).await else { return };
            stories::$story(place.store.clone()).await;
            place.leave().await;
        }
    )*};
}
