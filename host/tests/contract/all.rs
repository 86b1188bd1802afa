//! The contract of the queues, as bodies that know no device: each is given a [`rig::Rig`].
//!
//! `main.rs` runs them on the CPU device, on wgpu and on a simulated device, and
//! `kernels/tests/soft_cuda` on CUDA, on its driver in software. What a device cannot do, as its
//! capabilities say, stands in the body that would need it.

pub(crate) mod by_hand;
pub(crate) mod completions;
pub(crate) mod deadlines;
pub(crate) mod doorbells;
pub(crate) mod graphs;
pub(crate) mod hazards;
pub(crate) mod held_back;
pub(crate) mod letters;
pub(crate) mod loss;
pub(crate) mod promises;
pub(crate) mod rewriting;
#[allow(dead_code, reason = "not every kind of device needs all of it")]
pub(crate) mod rig;
pub(crate) mod sending;
pub(crate) mod taking_back;

/// Gives every body to the macro `$run`, behind what else it wants.
macro_rules! contract {
    ($run:ident! $($with:tt)*) => {
        $run! { $($with)*
            by_hand {
                nothing_moves_until_progress_is_made
                whoever_waits_makes_progress
                a_fence_that_nobody_has_looked_at_is_no_riddle
                draining_rings_for_what_is_sent_meanwhile
                whoever_drives_wakes_a_task_at_its_deadline
            }
            completions {
                what_goes_up_comes_down
                a_failure_travels_along_the_data_and_a_rewrite_heals_it
                a_queue_that_stops_aborts_what_is_behind_and_resumes
                a_queue_that_continues_fails_one_message_only
                a_full_queue_hands_the_message_back
                tickets_are_futures_callbacks_and_channels
                a_panic_in_a_callback_stops_nothing
                dropped_tickets_detach_and_their_failures_are_kept
                a_launch_is_called_as_its_kernel_where_nobody_says_otherwise
                waiting_has_a_timeout_and_gives_the_ticket_back
                a_fence_carries_the_failure_before_it
                who_has_seen_a_fence_has_the_completions_before_it
                pinned_memory_goes_up_and_comes_down_again_and_again
            }
            deadlines {
                a_sender_waits_for_a_credit_until_its_deadline_at_most
                so_does_whoever_sends_what_is_filled_several_or_a_plan
                so_does_a_task_that_awaits_them
                ten_thousand_deadlines_pass_on_a_full_queue
            }
            doorbells {
                a_manual_queue_holds_everything_until_it_is_flushed
                whoever_waits_for_a_message_rings
                a_message_of_another_queue_that_comes_after_rings
                a_sender_that_waits_for_a_credit_rings
                enough_messages_or_bytes_ring
                nobody_lingers_for_ever
                a_queue_that_ends_rings_for_the_last_time
                a_message_that_is_held_can_be_taken_back
            }
            graphs {
                a_replay_does_what_its_messages_do_one_by_one
                a_replay_is_one_message_and_one_submission
                a_graph_may_be_as_long_as_it_likes
                replays_are_ordered_with_what_else_touches_their_buffers
                a_graph_keeps_its_buffers
                what_cannot_be_recorded_is_refused
                a_step_that_fails_fails_the_replay_and_what_reads_it
                a_replay_is_taken_back_before_it_starts
            }
            hazards {
                readers_go_side_by_side
                what_is_independent_goes_side_by_side
                what_depends_waits_and_says_for_what_and_why
                a_queue_that_waits_for_a_fence_says_so
                who_waits_for_whom_is_told_to_the_end
            }
            held_back {
                a_promise_broken_between_two_messages_fails_the_second_until_the_queue_is_resumed
                a_sender_that_waits_for_a_credit_is_rung_for_whoever_has_it
                what_waits_for_a_promise_can_be_taken_back
                a_fence_comes_after_the_fences_that_its_queue_waits_for
                a_doorbell_forgets_what_is_over
                a_graph_that_is_refused_gives_staging_memory_back
            }
            letters {
                a_letter_has_its_cause_and_its_buffer
                what_still_owns_its_operation_is_sent_again
                what_was_copied_is_sent_again_whatever_its_size
                copies_clears_and_what_was_late_are_sent_again
                a_full_queue_keeps_the_letter
                the_ring_is_bounded_in_letters_and_in_bytes
            }
            loss {
                everything_in_flight_is_resolved_when_a_device_is_given_up
                who_waits_for_credits_is_told_where_nothing_was_in_flight
            }
            promises {
                what_waits_for_a_promise_waits_until_it_is_kept
                threads_and_tasks_wait_for_it_too
                a_wait_for_a_fence_has_a_timeout
                a_promise_that_is_broken_fails_who_waits_with_the_cause
                a_device_that_ends_with_an_open_promise_breaks_it
                each_failure_of_a_graph_reaches_its_descendants_and_nobody_else
            }
            rewriting {
                pieces_heal_what_they_write_and_no_more
                quarters_heal_a_buffer_to_its_end
                a_failure_spares_what_was_written_since
            }
            sending {
                a_permit_is_room_that_nobody_else_gets
                a_permit_that_is_dropped_wakes_who_waits_for_its_credits
                a_reservation_that_is_given_up_takes_nothing
                a_queue_that_closes_tells_who_awaits_a_credit
                what_never_fits_is_said_rather_than_waited_for
                a_batch_is_accepted_whole_and_in_order
                small_uploads_of_a_batch_are_messages_of_their_own
                a_batch_that_does_not_fit_sends_nothing_and_keeps_everything
                an_entry_is_good_for_its_batch_only
                a_plan_that_is_refused_has_not_sent_its_first_steps
                staging_memory_is_lent_within_the_bytes_of_its_queue
            }
            taking_back {
                what_has_not_started_is_cancelled_and_its_destination_is_as_it_was
                a_cancel_is_a_wish_and_stops_no_queue
                what_is_done_or_with_the_device_completes
                a_launch_is_cancelled_until_it_starts
                a_large_transfer_is_cancelled_between_two_chunks
                chunks_of_every_kind_of_transfer_move_every_byte
                a_small_message_overtakes_a_large_one_of_lower_priority
                a_message_of_high_priority_is_behind_two_chunks_at_most
                a_ticket_that_is_dropped_may_cancel
                what_takes_back_or_ends_needs_no_credit
                a_queue_says_what_it_waits_for
            }
        }
    };
}
pub(crate) use contract;
