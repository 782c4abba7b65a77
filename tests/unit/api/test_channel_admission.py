"""Limits on one channel's concurrent calls, and the release of each place."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from kernel_service.api.channel_admission import (
    BODY_BYTES,
    FILES_AT_ONCE,
    OPEN_AT_ONCE,
    READ_AT_ONCE,
    RETRY_SECONDS,
    SMALL_BYTES,
    ChannelAdmission,
    ChannelLimits,
    stranger,
)
from kernel_service.errors import Exhausted, NotFound


def fill(room: ChannelAdmission, holder: str, rpc: str) -> tuple[int, ExitStack]:
    """Take places until none is left."""
    stack = ExitStack()
    for count in range(10_000):
        try:
            stack.enter_context(room.taken(holder, rpc))
        except Exhausted as full:
            assert (full.reason, full.retry_after) == ("CHANNEL_BUSY", RETRY_SECONDS)  # noqa: PT017 - counted first
            return count, stack
    raise AssertionError("the limit is never reached")


@pytest.mark.parametrize(
    ("rpc", "most"),
    [
        ("HandleMessage", 900),
        ("StreamMessage", 900),
        ("PullOutbox", 7),
        ("ServeChannel", 7),
        ("UploadMedia", 200),
        ("DownloadMedia", 200),
    ],
)
def test_each_channel_has_its_own_limit_and_releases_its_places(rpc: str, most: int) -> None:
    room = ChannelAdmission(ChannelLimits(pulls=7, calls=900))
    count, places = fill(room, "chat", rpc)
    assert count == most
    with room.taken("mail", rpc):
        pass
    places.close()
    assert fill(room, "chat", rpc)[0] == most
    assert room.refused == {"chat": 2}


def test_both_kinds_of_streams_share_one_limit() -> None:
    room = ChannelAdmission(ChannelLimits(pulls=2))
    with room.taken("chat", "PullOutbox"), room.taken("chat", "ServeChannel"), pytest.raises(Exhausted):
        room.taken("chat", "ServeChannel").__enter__()


def test_all_calls_except_streams_and_files_share_one_limit() -> None:
    room = ChannelAdmission(ChannelLimits(pulls=7, calls=10))
    count, places = fill(room, "chat", "HandleMessage")
    assert count == 10
    for rpc in ("AckOutbox", "LinkIdentity", "StreamMessage"):
        with pytest.raises(Exhausted), room.taken("chat", rpc):
            pass
    assert fill(room, "chat", "PullOutbox")[0] == 7
    assert fill(room, "chat", "UploadMedia")[0] == min(10, FILES_AT_ONCE)
    places.close()


def test_calls_without_a_token_have_separate_limits() -> None:
    room = ChannelAdmission(ChannelLimits())
    thief, gateway = stranger("ipv4:10.0.0.7:51234"), stranger("ipv4:10.0.0.8:51234")
    count, places = fill(room, thief, "Watch")
    assert count == OPEN_AT_ONCE
    for holder in ("chat", gateway, stranger("ipv6:%5B::1%5D:51234")):
        with room.taken(holder, "Watch"):
            pass
    assert stranger("ipv4:10.0.0.7:9") == thief
    assert room.refused == {"": 1}
    places.close()
    assert not room.held, "a holder without calls is forgotten"


def test_a_failed_call_releases_its_place() -> None:
    room = ChannelAdmission(ChannelLimits(calls=1))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.taken("chat", "HandleMessage"), room.holding("chat", BODY_BYTES):
            raise ZeroDivisionError


def test_large_requests_of_a_channel_share_a_limit_of_bytes() -> None:
    room = ChannelAdmission(ChannelLimits())
    with ExitStack() as held:
        large = SMALL_BYTES + 1
        for holder, size in (("chat", BODY_BYTES - large), ("chat", large), ("mail", BODY_BYTES)):
            held.enter_context(room.holding(holder, size))
        with pytest.raises(Exhausted), room.holding("chat", large):
            pass
        with pytest.raises(Exhausted), room.call("chat", "HandleMessage", large):
            pass
        for _ in range(5):
            held.enter_context(room.holding("chat", SMALL_BYTES))
    with room.call("chat", "HandleMessage", BODY_BYTES):
        with pytest.raises(Exhausted), room.holding("chat", large):
            pass
        with room.call("chat", "AckOutbox", SMALL_BYTES):
            pass
    with room.holding("chat", BODY_BYTES):
        pass


async def test_concurrent_receives_of_a_channel_are_limited() -> None:
    room = ChannelAdmission(ChannelLimits())
    with room.taken("chat", "HandleMessage"):
        for _ in range(READ_AT_ONCE):
            await room.reading("chat").acquire()
        assert room.reading("chat").locked()
        assert not room.reading("mail").locked()


def test_the_duration_of_each_call_is_noted_by_its_status() -> None:
    room = ChannelAdmission(ChannelLimits(calls=1))
    with room.call("chat", "AckOutbox"), pytest.raises(Exhausted), room.call("chat", "HandleMessage"):
        pass
    for error in (NotFound("PERSON_NOT_FOUND", "nobody"), ZeroDivisionError(), asyncio.CancelledError()):
        with pytest.raises(type(error)), room.call("chat", "HandleMessage"):
            raise error
    counts = {labels: histogram.cumulative()[-1][1] for labels, histogram in room.seconds.items()}
    assert counts == {
        ("AckOutbox", "OK"): 1,
        ("HandleMessage", "RESOURCE_EXHAUSTED"): 1,
        ("HandleMessage", "NOT_FOUND"): 1,
        ("HandleMessage", "INTERNAL"): 1,
        ("HandleMessage", "cancelled"): 1,
    }
    assert not room.open
