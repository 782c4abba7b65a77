"""The page's buttons that kill a service: who may press them, and what the page is told."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.config import Config
from emulators.whatsapp.chat import ChatMessage
from tests.emulators.whatsapp.test_page import Admin, Stream, asking


class LocalRun:
    """The local run that the emulators are connected to, and a page that is open on them."""

    def __init__(self, run: socket.socket, emulators: Emulators, session: aiohttp.ClientSession, page: Stream) -> None:
        self.page = page
        self.emulators = emulators
        self._run = run
        self._session = session

    async def tell(self, **event: Any) -> None:
        await asyncio.get_running_loop().sock_sendall(self._run, json.dumps(event).encode() + b"\n")

    async def asked(self) -> Any:
        return json.loads(await asyncio.get_running_loop().sock_recv(self._run, 1000))

    async def press(self, service: str, **headers: str) -> int:
        """The status of the answer to the page's button, with other headers than the page's if given."""
        url, own = f"{self.emulators.url}/phones/kills", {"Origin": self.emulators.url}
        async with self._session.post(url, json={"service": service}, headers=own | headers) as response:
            return response.status


@pytest.fixture
async def run() -> AsyncIterator[LocalRun]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    config = Config(emulators_listen="127.0.0.1:0", emulators_kills_fd=theirs.detach())
    async with (
        Emulators.start(config) as emulators,
        aiohttp.ClientSession() as session,
        session.get(f"{emulators.url}/phones/events") as events,
    ):
        with ours:
            run = LocalRun(ours, emulators, session, Stream(events))
            await run.tell(services=["kernel_service", "whatsapp_gateway"])
            assert await run.page.next("crash") == {"services": ["kernel_service", "whatsapp_gateway"], "kill": None}
            yield run


async def test_a_button_kills_a_service_and_the_page_is_told_when_it_is_back(run: LocalRun) -> None:
    assert await run.press("kernel_service") == 202
    assert await run.asked() == {"kill": "kernel_service"}
    await run.tell(service="kernel_service", killed=True)
    assert (await run.page.next("crash"))["kill"]["seconds"] is None
    assert await run.press("kernel_service") == 409
    await run.tell(service="kernel_service", seconds=2.5)
    kill = (await run.page.next("crash"))["kill"]
    assert (kill["service"], kill["seconds"], kill["waiting"]) == ("kernel_service", 2.5, None)
    assert await run.press("kernel_service") == 202


@pytest.mark.parametrize("service", ["emulators", "postgres", "../kernel_service"])
async def test_nothing_else_can_be_killed(run: LocalRun, service: str) -> None:
    assert await run.press(service) == 409


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("Host", "evil.example"),
    ],
)
async def test_no_other_page_and_no_program_can_kill(run: LocalRun, header: str, value: str) -> None:
    assert await run.press("kernel_service", **{header: value}) in {403, 421}


async def test_a_form_cannot_kill(run: LocalRun) -> None:
    assert await run.press("kernel_service", **{"Content-Type": "text/plain"}) == 415


async def test_the_page_tells_that_everything_was_answered_once_or_what_came_twice() -> None:
    admin = Admin("US.none")  # type: ignore[abstract]  # it is asked for kernels alone
    async with asking(admin, "admin") as (emulators, stream):
        crashes, effects = emulators.whatsapp.crashes, emulators.effects
        switch = crashes.switch
        effects.record("graph_send", person="US.1", key="r_1:1", choices=[])
        switch.killed("kernel_service")
        effects.record("graph_send", person="US.1", key="r_2:1", choices=[])
        switch.restarted("kernel_service", 1.0)
        while (kill := (await stream.next("crash"))["kill"])["waiting"] is None:
            pass
        assert (kill["waiting"], kill["answers"], kill["twice"]) == (0, 1, 0)
        switch.killed("whatsapp_gateway")
        effects.record("graph_send", person="US.1", key="r_2:1", choices=[])
        switch.restarted("whatsapp_gateway", 1.0)
        while (kill := (await stream.next("crash"))["kill"])["waiting"] is None:
            pass
        assert (kill["waiting"], kill["answers"], kill["twice"]) == (0, 1, 1)


async def test_a_message_accepted_after_the_kernel_service_was_asked_still_waits() -> None:
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0")) as emulators:
        crashes, alice = emulators.whatsapp.crashes, emulators.whatsapp.add_phone("Alice")
        idle: dict[str, Any] = {"problem": "", "people": [{"waiting": 0}]}
        crashes.look(idle)
        crashes.switch.killed("kernel_service")
        crashes.switch.restarted("kernel_service", 1.0)
        accepted = ChatMessage("wamid.1", mine=True, kind="text", text="hello", at=0.0, number="1", ticks="delivered")
        alice.messages.append(accepted)
        told = []
        for state in (idle, {**idle, "people": [{"waiting": 1}]}, idle):
            crashes.look(state)
            told.append(crashes.state["kill"]["waiting"])
        assert told == [1, 1, 0]


async def test_without_a_local_run_there_is_nothing_to_kill() -> None:
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0")) as emulators, aiohttp.ClientSession() as session:
        async with session.get(f"{emulators.url}/phones/events") as events:
            assert (await Stream(events).next("snapshot"))["crash"] == {"services": [], "kill": None}
        own = {"Origin": emulators.url}
        async with session.post(
            f"{emulators.url}/phones/kills", json={"service": "kernel_service"}, headers=own
        ) as answer:
            assert answer.status == 409
