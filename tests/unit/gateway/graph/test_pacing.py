"""A number sends at its rate, each person in turn."""

import asyncio

import pytest

from whatsapp_gateway.config import Settings
from whatsapp_gateway.graph.api import SEND_SECONDS
from whatsapp_gateway.graph.pacing import BURST_SECONDS, PAUSE_SECONDS, Pacing


class Clock:
    """Time that passes only in sleep; sleepers wake in the order of their times."""

    def __init__(self) -> None:
        self.now = 100.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def run(self) -> None:
        """Let time pass until no task sleeps."""
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            if not self._sleepers:
                return
            first = min(self._sleepers, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pacing(clock: Clock, per_second: float = 10) -> Pacing:
    return Pacing(per_second, now=lambda: clock.now, sleep=clock.sleep)


async def send(paced: Pacing, clock: Clock, sent: list[tuple[float, str]], who: str, parts: int = 1) -> None:
    for _ in range(parts):
        assert await paced.wait_turn("42", 1000) is not None
        sent.append((round(clock.now - 100, 3), who))


async def test_a_burst_is_sent_at_once_and_the_rest_at_the_rate(clock: Clock) -> None:
    sent: list[tuple[float, str]] = []
    paced = pacing(clock)
    sends = [asyncio.create_task(send(paced, clock, sent, str(number))) for number in range(31)]
    await clock.run()
    await asyncio.gather(*sends)
    times = [at for at, _ in sent]
    assert times[:11] == [0.0] * 11
    assert times[11:] == pytest.approx([number / 10 for number in range(1, 21)])
    assert [who for _, who in sent] == [str(number) for number in range(31)]


async def test_a_long_answer_to_one_person_does_not_delay_the_others(clock: Clock) -> None:
    sent: list[tuple[float, str]] = []
    paced = pacing(clock)
    long = asyncio.create_task(send(paced, clock, sent, "long", 100))
    await asyncio.sleep(0)
    others = [asyncio.create_task(send(paced, clock, sent, "other")) for _ in range(20)]
    await clock.run()
    await asyncio.gather(long, *others)
    last = max(at for at, who in sent if who == "other")
    assert last <= 2.1
    assert max(at for at, _ in sent) == pytest.approx(10.9)


async def test_at_the_lowest_rate_a_slot_comes_within_the_time_of_a_send(clock: Clock) -> None:
    (allowed,) = Settings.model_fields["whatsapp_messages_per_second"].metadata
    paced = pacing(clock, allowed.least)
    sends = [asyncio.create_task(paced.wait_turn("42", SEND_SECONDS)) for _ in range(2)]
    await clock.run()
    assert None not in await asyncio.gather(*sends)


async def test_numbers_do_not_share_their_rate(clock: Clock) -> None:
    paced = pacing(clock, 1)
    assert [await paced.wait_turn("42", 0.5) for _ in range(3)] == [0.5, 0.5, None]
    assert await paced.wait_turn("43", 0.5) == 0.5


async def test_a_caller_whose_slot_comes_too_late_takes_none(clock: Clock) -> None:
    paced = pacing(clock, 1)
    for _ in range(2):
        await paced.wait_turn("42", 5)
    assert [await paced.wait_turn("42", 1) for _ in range(5)] == [None] * 5
    waiting = asyncio.create_task(paced.wait_turn("42", 1.5))
    await clock.run()
    assert await waiting == 0.5


async def test_incoming_messages_count(clock: Clock) -> None:
    paced = pacing(clock)
    for _ in range(int(10 * BURST_SECONDS) + 5):
        paced.received("42")
    assert await paced.wait_turn("42", 0.4) is None
    waiting = asyncio.create_task(paced.wait_turn("42", 1))
    await clock.run()
    assert await waiting == pytest.approx(0.5)


async def test_a_flood_of_incoming_messages_delays_answers_briefly(clock: Clock) -> None:
    paced = pacing(clock)
    for _ in range(10_000):
        paced.received("42")
    waiting = asyncio.create_task(paced.wait_turn("42", 2))
    await clock.run()
    assert await waiting == pytest.approx(2 - PAUSE_SECONDS)


async def test_a_rate_error_pauses_the_number(clock: Clock) -> None:
    paced = pacing(clock)
    paced.pause("42")
    assert await paced.wait_turn("42", PAUSE_SECONDS) is None


async def test_a_longer_pause_is_not_waited_for(clock: Clock) -> None:
    paced = pacing(clock)
    paced.pause("42", 60)
    paced.pause("42")
    assert (await paced.wait_turn("42", 1000), paced.seconds_paused("42")) == (None, 60)
    assert (await paced.wait_turn("43", 1000), paced.seconds_paused("43")) == (1000, 0)
    clock.now += 60
    assert (await paced.wait_turn("42", 1000), paced.seconds_paused("42")) == (1000, 0)


async def test_without_a_limit_only_a_time_that_is_named_pauses_the_number(clock: Clock) -> None:
    paced = pacing(clock, 0)
    paced.pause("42", 60)
    assert await paced.wait_turn("42", 1000) is None
    clock.now += 60
    assert [await paced.wait_turn("42", 1) for _ in range(1000)] == [1] * 1000


async def test_without_a_limit(clock: Clock) -> None:
    paced = pacing(clock, 0)
    paced.received("42")
    paced.pause("42")
    assert [await paced.wait_turn("42", 1) for _ in range(1000)] == [1] * 1000
