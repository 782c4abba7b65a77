"""A call is repeated as the contract's table says, and never past its deadline."""

import asyncio
import logging

import pytest

from kernel_client import repeats
from kernel_client.errors import KernelError
from kernel_client.repeats import Repeats


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    seen: list[float] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    monkeypatch.setattr("kernel_client.repeats.asyncio.sleep", sleep)
    return seen


async def test_a_pause_is_no_shorter_than_the_service_asks(waits: list[float]) -> None:
    await Repeats(60).pause_after(KernelError("CHANNEL_BUSY", retry_after=7))
    assert waits == [7]


async def test_pauses_grow_to_a_limit(waits: list[float]) -> None:
    each = Repeats(1e6)
    for _ in range(100):
        await each.pause_after(KernelError("STORE_UNAVAILABLE"))
    assert waits[0] <= repeats.FIRST_PAUSE
    assert repeats.FIRST_PAUSE < max(waits) <= repeats.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("reason", "retry_after", "timeout"),
    [
        ("FIELD_INVALID", 0, 60),  # never accepted
        ("CHANNEL_BUSY", 90, 60),  # accepted too late
        ("STORE_UNAVAILABLE", 0, 0),  # no time left
    ],
)
async def test_an_error_is_raised_if_a_repeat_does_not_help(
    waits: list[float], reason: str, retry_after: float, timeout: float
) -> None:
    with pytest.raises(KernelError, match=reason):
        await Repeats(timeout).pause_after(KernelError(reason, retry_after))
    assert waits == []


async def test_a_lasting_problem_is_logged_once(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    each = Repeats(1e6)
    with caplog.at_level(logging.WARNING):
        for reason in ("UNREACHABLE", "UNREACHABLE", "TOKEN_INVALID"):
            await each.pause_after(KernelError(reason))
    assert len(caplog.records) == 2
    assert "KERNEL_CHANNEL_TOKENS" in caplog.text


async def test_a_pause_can_be_cancelled() -> None:
    pausing = asyncio.create_task(Repeats(60).pause_after(KernelError("CHANNEL_BUSY", retry_after=30)))
    await asyncio.sleep(0)
    pausing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pausing
