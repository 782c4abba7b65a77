"""Time passes on request, once nothing is on its way, and everywhere in the emulators at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from emulators import passing_time
from emulators.app import Emulators
from emulators.config import Config
from tests.clock import Clock

DAY = 86_400


@pytest.fixture
async def emulators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulators]:
    monkeypatch.setattr(passing_time, "STILL_SECONDS", 0.01)
    config = Config(emulators_listen="127.0.0.1:0", kernel_emulated_clock=tmp_path / "clock")
    async with Emulators.start(config, clock=Clock()) as running:
        yield running


@pytest.fixture
async def session(emulators: Emulators) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(emulators.url) as session:
        yield session


async def passed(session: aiohttp.ClientSession, **body: Any) -> tuple[int, Any]:
    async with session.post("/phones/time", json=body) as response:
        return response.status, await (response.json() if response.status == 200 else response.text())


async def test_messages_have_the_time_that_has_passed(emulators: Emulators, session: aiohttp.ClientSession) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    before = alice.compose("text", {"body": "today"}, "today").at
    assert await passed(session, seconds=DAY) == (200, {"now": before + DAY, "ahead": DAY, "passes": True})
    assert alice.compose("text", {"body": "tomorrow"}, "tomorrow").at == before + DAY


async def test_it_passes_until_a_time_and_never_back(emulators: Emulators, session: aiohttp.ClientSession) -> None:
    now = emulators.whatsapp.now()
    assert (await passed(session, until=now + 90))[1]["now"] == now + 90
    assert (await passed(session, until=now + 30))[1]["now"] == now + 90


async def test_it_stops_at_each_schedule_that_is_due_on_its_way(
    emulators: Emulators, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing_time, "RUN_SECONDS", 0.01)  # of the last one, which never begins
    now = emulators.whatsapp.now()
    due = [now + 60, now + 3600, now + 7200, now + 2 * DAY]
    seen: list[float] = []

    def next_due() -> float | None:
        while len(due) > 2 and due[0] <= emulators.whatsapp.now():
            seen.append(due.pop(0))
            assert emulators.whatsapp.now() == seen[-1]
        return due[0]

    assert emulators.time
    emulators.time.next_due = next_due
    assert (await passed(session, seconds=DAY))[1]["now"] == now + DAY
    assert seen == [now + 60, now + 3600]


async def test_it_stops_only_so_often(emulators: Emulators, session: aiohttp.ClientSession) -> None:
    now, told = emulators.whatsapp.now(), []
    assert emulators.time
    emulators.time.next_due = lambda: emulators.whatsapp.now() + 60
    emulators.time.told = lambda: told.append(emulators.whatsapp.now())
    assert (await passed(session, seconds=DAY))[1]["now"] == now + DAY
    assert len(told) == passing_time.MOST_STOPS + 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seconds": -1},
        {"seconds": "60"},
        {"seconds": True},
        {"seconds": None},
        {"seconds": 10**400},
        {"seconds": float("nan")},
        {"seconds": 400 * DAY},
        {"until": 10**12},
        {"until": "tomorrow"},
        {"until": None},
    ],
)
async def test_a_wrong_time_is_refused(
    emulators: Emulators, session: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    status, text = await passed(session, **body)
    assert status == 400
    assert "seconds: must be" in text or "until: must be" in text
    assert emulators.clock
    assert emulators.clock.ahead == 0


async def test_it_waits_for_what_is_on_its_way(emulators: Emulators, session: aiohttp.ClientSession) -> None:
    hold = emulators.openai.hold()
    key = {"Authorization": f"Bearer {emulators.config.openai_api_key}"}
    asking = asyncio.create_task(session.get("/openai/v1/models/none", headers=key))
    await hold.reached.wait()
    passing = [asyncio.create_task(passed(session, seconds=60)) for _ in range(2)]
    await asyncio.wait(passing, timeout=0.05)
    assert not any(each.done() for each in passing)
    assert emulators.clock
    assert emulators.clock.ahead == 0
    hold.release()
    (await asking).close()
    assert sorted([(await each)[1]["ahead"] for each in passing]) == [60, 120]


async def test_a_call_that_hangs_does_not_stop_the_time(
    emulators: Emulators, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing_time, "LONGEST_WAIT", 0.05)
    hold = emulators.openai.hold()
    key = {"Authorization": f"Bearer {emulators.config.openai_api_key}"}
    asking = asyncio.create_task(session.get("/openai/v1/models/none", headers=key))
    await hold.reached.wait()
    assert (await passed(session, seconds=60))[1]["ahead"] == 60
    hold.release()
    (await asking).close()


async def test_a_page_of_another_site_does_not_move_the_time(
    emulators: Emulators, session: aiohttp.ClientSession
) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Content-Type": "text/plain"}):
        async with session.post("/phones/time", data='{"seconds": 60}', headers=headers) as response:
            assert response.status in {403, 415}
    assert emulators.clock
    assert emulators.clock.ahead == 0


async def test_without_an_emulated_clock_the_time_is_the_real_one() -> None:
    config = Config(emulators_listen="127.0.0.1:0")
    async with Emulators.start(config) as emulators, aiohttp.ClientSession(emulators.url) as session:
        status, text = await passed(session, seconds=60)
        assert (status, "KERNEL_EMULATED_CLOCK" in text) == (409, True)
