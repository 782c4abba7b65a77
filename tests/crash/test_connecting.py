"""The kernel service dies at each step of connecting an account, and the request that needs it is done once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest

from tests.connect_browser import a_browser
from tests.crash.checker import judge
from tests.crash.points import CONNECTING, Doom

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.connect_browser import ConnectBrowser
    from tests.crash.system import System

pytestmark = pytest.mark.crash

_KILLED: Final = -9
_VERIFIER: Final = ("vendor not told", "vendor told", "proof not committed")
_ON_POSTGRESQL: Final = ("what waits not committed", "code stored", "proof not committed", "gone on")


async def test_without_the_verifier(system: System, subtests: pytest.Subtests) -> None:
    await _dies_at_each(system, [point for point in CONNECTING if not point.startswith("vendor ")], subtests)


async def test_with_the_verifier(system: System, subtests: pytest.Subtests) -> None:
    await system.control("composio", "verifier", url=f"{system.connect_url}/connect/verify")
    system.kernel.settings["COMPOSIO_VERIFIER"] = "true"
    await _dies_at_each(system, _VERIFIER, subtests)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_on_postgresql(system: System, subtests: pytest.Subtests) -> None:
    await _dies_at_each(system, _ON_POSTGRESQL, subtests)


async def _dies_at_each(system: System, points: Iterable[str], subtests: pytest.Subtests) -> None:
    for point in points:
        with subtests.test(point):
            await _dies_at(system, point)


async def _dies_at(system: System, point: str) -> None:
    person = await system.person()
    await system.kernel.kill()
    await system.restart(system.kernel, doom=Doom(point))
    coming_back = asyncio.create_task(_come_back(system))
    token = await system.writes(person, "need")
    link = await system.offered(person)
    async with a_browser() as browser:
        await _whatever_dies(lambda: browser.to_consent(link), coming_back)
        await _whatever_dies(lambda: _approve(browser), coming_back)
        assert browser.code, browser.page
    await system.says(person, browser.code)
    await system.answered(token)
    assert await coming_back == _KILLED
    await system.settled(person)
    verdict = judge(system.log)
    assert verdict.faults == []
    assert len(system.evidence.executions[token]) == 1


async def _come_back(system: System) -> int:
    """Wait for its death and start it again. Returns the exit code."""
    code = await system.kernel.ended()
    await system.restart(system.kernel)
    return code


async def _approve(browser: ConnectBrowser) -> None:
    """Approve at the vendor; once that is done, follow the redirect again."""
    await (browser.submit(decision="approve") if "/link/lk_" in browser.url else browser.open(browser.url))


async def _whatever_dies(step: Callable[[], Awaitable[None]], coming_back: asyncio.Task[int]) -> None:
    """Repeat a step that gets no answer, once the service answers again, as a person does."""
    try:
        await step()
    except aiohttp.ClientError:
        await coming_back
        await step()
