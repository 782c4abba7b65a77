"""A number that WhatsApp does not answer occupies half of the places, and one that is answered all of them."""

import asyncio

import pytest

from whatsapp_gateway.graph import unanswered_sends
from whatsapp_gateway.graph.unanswered_sends import MOST_UNANSWERED, UnansweredSends
from whatsapp_gateway.kernel.attach import MOST_IN_FLIGHT


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> UnansweredSends:
    monkeypatch.setattr(unanswered_sends, "ANSWER_SECONDS", 0.05)
    return UnansweredSends()


async def begun(sends: UnansweredSends, count: int, number: str = "42") -> list[bool]:
    left = await asyncio.gather(*(sends.begin(number, 15) for _ in range(count)))
    return [seconds is not None for seconds in left]


def test_the_others_keep_half_of_the_places() -> None:
    assert MOST_UNANSWERED * 2 <= MOST_IN_FLIGHT


async def test_an_unanswered_number_leaves_room_for_the_others(sends: UnansweredSends) -> None:
    assert (await begun(sends, 100)).count(True) == MOST_UNANSWERED
    assert await begun(sends, 10, "43") == [True] * 10


async def test_once_one_has_waited_without_success_the_others_do_not_wait(
    sends: UnansweredSends, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(sends, MOST_UNANSWERED + 1)
    monkeypatch.setattr(unanswered_sends, "ANSWER_SECONDS", 3600)
    assert await begun(sends, 50) == [False] * 50


async def test_an_answer_admits_as_many_again(sends: UnansweredSends) -> None:
    await begun(sends, MOST_UNANSWERED)
    waiting = [asyncio.create_task(sends.begin("42", 15)) for _ in range(MOST_UNANSWERED)]
    await asyncio.sleep(0)
    sends.end("42", answered=True)
    left = await asyncio.gather(*waiting)
    assert all(seconds is not None and seconds <= 15 for seconds in left)


async def test_a_send_that_ends_without_an_answer_admits_one(sends: UnansweredSends) -> None:
    await begun(sends, MOST_UNANSWERED + 1)
    sends.end("42", answered=False)
    assert await begun(sends, 2) == [True, False]


async def test_sends_from_before_an_answer_never_count_below_zero(sends: UnansweredSends) -> None:
    await begun(sends, 2)
    sends.end("42", answered=True)
    sends.end("42", answered=False)
    assert (await begun(sends, 100)).count(True) == MOST_UNANSWERED


async def test_a_wait_is_no_longer_than_the_send_may_take(sends: UnansweredSends) -> None:
    await begun(sends, MOST_UNANSWERED)
    async with asyncio.timeout(5):
        assert await sends.begin("42", 0.01) is None
