"""Where it is shown that what went wrong in other runtimes of this kind does not happen here.

HOMES is the list, by the pitfall's number, and a test keeps the names true. The numbers are only
names; some are not used.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOMES = {  # number: (title, tests)
    1: ("what a cancelled receive had got is lost, or turns up elsewhere", (
        "core/test_pitfalls.py::test_01_buffers_of_a_cancelled_receive",
        "core/test_pitfalls.py::test_01_buffers_that_come_after_the_end",
        "face/test_cancel.py::test_an_iteration_cancelled_and_resumed_loses_nothing",
    )),
    2: ("a result that came with the cancel is lost: bytes, descriptors", (
        "face/test_cancel.py::test_cancel_and_data_at_once_lose_no_byte",
        "face/test_cancel.py::test_descriptors_that_arrive_after_a_cancel_are_closed",
        "core/test_pitfalls.py::test_02_a_descriptor_that_nobody_takes_is_closed",
        "face/test_cancel.py::test_a_connection_handed_to_an_op_that_is_dropped_is_closed",
        "face/test_cancel.py::test_a_piece_handed_to_an_op_that_is_dropped_is_not_lost",
    )),
    3: ("a timeout strikes after its block has ended", (
        "face/test_timeout.py::test_expiring_when_the_result_arrives",
        "face/test_timeout.py::test_expiring_when_the_data_arrives",
    )),
    4: ("a completion reaches an op that took the slot over", (
        "core/test_op.py::test_completions_that_lie_reach_nobody",
        "core/test_op.py::test_a_stale_answer_reaches_no_other_op",
    )),
    5: ("a full submission queue is an error", (
        "core/test_queue.py::test_a_full_queue_submits_and_goes_on",
        "core/test_queue.py::test_cancels_have_room_in_a_full_queue",
    )),
    6: ("a multishot op that the kernel ended is not armed again", (
        "core/test_pitfalls.py::test_06_multishot_is_armed_again",
        "core/test_queue.py::test_multishot_with_the_smallest_queues",
    )),
    7: ("every timer takes an SQE", (
        "core/test_timers.py::test_a_hundred_thousand_alive",
        "core/test_timers.py::test_sleeping_takes_no_sqe",
    )),
    8: ("a signal just before the sleep is noticed after it", (
        "core/test_signals.py::test_no_signal_is_lost_just_before_the_sleep",
        "core/test_signals.py::test_signals_rain_while_io_goes_on",
        "core/test_enter.py::test_enter_is_refused_again_and_again",
    )),
    9: ("memory of an op in flight is freed, or written past its end", (
        "core/test_pitfalls.py::test_09_vectors_live_until_the_last_completion",
        "core/test_op.py::test_never_more_than_the_buffer_holds",
        "core/test_op.py::test_offsets_have_64_bits",
    )),
    10: ("another thread uses the ring", (
        "core/test_threads.py::test_a_foreign_thread_is_refused",
    )),
    11: ("a forked child uses its parent's ring", (
        "core/test_fork.py::test_fork_with_ops_in_flight",
    )),
    12: ("memory is written after the close", (
        "core/test_pitfalls.py::test_12_the_ring_goes_before_what_it_points_to",
        "core/test_machine_life.py::test_close_with_ops_in_flight_lets_go_of_everything",
        "core/test_machine_life.py::test_exit_with_ops_in_flight",
        "core/test_machine_life.py::test_garbage_collected_with_ops_in_flight",
    )),
    16: ("what this host limits ends the program", (
        "core/test_kernels.py::test_without_locked_memory",
    )),
    20: ("what the kernel refuses comes without a name", (
        "sync/test_futex.py::test_a_word_that_is_not_aligned_is_refused",
    )),
    24: ("I/O and runnable fibers starve each other", (
        "core/test_balance.py::test_a_reader_gets_its_data_while_others_never_wait",
        "core/test_balance.py::test_much_io_does_not_starve_a_fiber",
        "core/test_shares.py::test_a_crowd_that_wakes_at_once_does_not_put_off_the_next_look",
    )),
    25: ("user code runs while completions are walked", (
        "core/test_pitfalls.py::test_25_user_code_never_runs_while_completions_are_walked",
    )),
    26: ("SQPOLL makes the system call each time", (
        "core/test_pitfalls.py::test_26_sqpoll_saves_the_system_call",
    )),
    28: ("the user's descriptor flags are changed, or needed to be", (
        "core/test_pitfalls.py::test_28_the_users_descriptor_flags_stay",
        "core/test_pitfalls.py::test_28_descriptors_that_epoll_refuses",
    )),
}
TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "homes", [homes for _, homes in HOMES.values()],
    ids=[f"{number}: {title}" for number, (title, _) in HOMES.items()])
def test_every_pitfall_has_its_test(homes):
    for home in homes:
        path, _, name = home.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.MULTILINE), home
