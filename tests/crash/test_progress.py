"""The waits after a kill or freeze of a kernel service, from a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.crash.progress import IN_A_CALL, UNSENT, progress
from tests.crash.test_checker import Log

if TYPE_CHECKING:
    import pytest


def waits(log: Log) -> dict[str, list[int]]:
    """In tenths of a second: each line of a log takes one."""
    found = progress(log.effects.all()).waits
    return {blow: [round(10 * wait) for wait in each] for blow, each in found.items()}


def test_a_wait_ends_with_the_next_effect_of_the_person() -> None:
    log = Log().writes("p1m1", "p2m1").note("killed", "kernel_service_2").asks("p2", about="load p2m1")
    log.makes("p2m1").sends("a/1/1", "p1m1")
    assert waits(log) == {"killed": [1, 3]}


def test_only_people_with_an_accepted_and_unanswered_message_wait() -> None:
    log = Log().writes("p1m1").sends("a/1/1", "p1m1").posts("p2m1").note("died", "kernel_service")
    assert waits(log.taken("p2m1").sends("b/1/1", "p2m1").writes("p1m2").sends("c/1/1", "p1m2")) == {}


def test_a_wait_for_the_vendor_of_a_cut_call_is_counted_apart() -> None:
    log = Log().writes("task p1m1", "p2m1").makes("p1m1").note("killed", "kernel_service").sends("b/1/1", "p2m1")
    assert waits(log.asks("p1", about="load task p1m1")) == {"killed": [1], IN_A_CALL: [3]}


def test_a_wait_for_the_sending_of_an_answer_is_counted_apart() -> None:
    log = Log().writes("p1m1").asks("p1", about="load p1m1").note("killed", "kernel_service").sends("a/1/1", "p1m1")
    assert waits(log) == {UNSENT: [1]}


def test_a_second_blow_begins_the_wait_again() -> None:
    log = Log().writes("p1m1").note("killed", "kernel_service").lists("p2").note("frozen", "kernel_service_1")
    assert waits(log.sends("a/1/1", "p1m1")) == {"frozen": [1]}


def test_a_wait_for_a_gateway_or_the_database_is_not_one_for_a_node(subtests: pytest.Subtests) -> None:
    for process, ends, begins in (("gateway", "killed", "ready"), ("postgresql", "stopped", "started")):
        with subtests.test(process):
            log = Log().writes("p1m1").note(ends, process).note("killed", "kernel_service").note(begins, process)
            assert waits(log.sends("a/1/1", "p1m1")) == {}
            log = Log().writes("p1m1").note("killed", "kernel_service").note(ends, process).note(begins, process)
            assert waits(log.sends("a/1/1", "p1m1")) == {}
