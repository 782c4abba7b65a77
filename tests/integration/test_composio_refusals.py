"""Composio refuses, hangs or forgets: the person is answered, and so is the next message, also after a restart."""

from __future__ import annotations

import asyncio
import json
from functools import partialmethod
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from emulators.openai.turns import ToolCall
from kernel_service import texts
from kernel_service.composio.client import Composio
from tests.connect_browser import a_browser
from tests.integration.test_conversation import connect
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.effects import Effect
    from tests.integration.world import World


def error(slug: str) -> str:
    return json.dumps({"error": {"message": "Because.", "slug": slug, "code": 1, "status": 400}})


GONE = error("ToolRouterV2_SessionNotFound")
FAULTS = [
    ("/tools", 401, None),
    ("/tools", 402, None),
    ("/tools", 403, None),
    ("/tools", 404, error("Toolkit_ToolkitNotFound")),
    ("/tools", 410, error("Toolkit_Removed")),
    ("/tools", 422, None),
    ("/tools", 500, None),
    ("/tools", 0, None),
    ("/tools", 200, "<html>"),
    ("/tools", 200, '{"items": []}'),
    ("/tools", 200, '{"items": [{"slug": "ASANA_LIST_TASKS", "input_parameters": {"oneOf": [{}]}}]}'),
    ("/execute", 400, error("ToolRouterV2_NoActiveConnection")),
    ("/execute", 401, None),
    ("/execute", 402, None),
    ("/execute", 403, None),
    ("/execute", 404, GONE),
    ("/execute", 408, None),
    ("/execute", 409, None),
    ("/execute", 410, None),
    ("/execute", 413, None),
    ("/execute", 422, None),
    ("/execute", 429, None),
    ("/execute", 500, None),
    ("/execute", 503, None),
    ("/execute", 0, None),
    ("/execute", 200, '{"data": {"cut": "of'),
    ("/execute", 200, '{"data": {}, "result_type": "failed"}'),
    ("/execute", 200, '{"result_type": "input_required"}'),
    ("/execute", 200, '{"result_type": "blocked"}'),
]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for tools: the unit tests cover the length of the wait."""
    monkeypatch.setattr("kernel_service.composio.client.MOST_WAIT_SECONDS", -1.0)


async def restart(world: World) -> None:
    """Forget the cached tools of toolkits."""
    await world.stop_kernel()
    await world.start_kernel()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("path", "status", "body"), FAULTS)
async def test_the_person_is_answered_after_any_answer_of_composio(
    world: World, path: str, status: int, body: str | None
) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    world.emulators.composio.fail(status, times=1000, body=body, match=matching(path=path))
    await restart(world)
    assert (await world.ask(alice, "list my tasks")).text
    assert "hello" in (await world.ask(alice, "hello")).text
    await restart(world)
    assert "hello again" in (await world.ask(alice, "hello again")).text
    world.emulators.composio.clear()
    await restart(world)
    assert "owner" in (await world.ask(alice, "list my tasks")).text


async def test_unavailable_tools_are_waited_for_only_a_moment(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    world.emulators.composio.fail(500, times=1000, match=matching(path="/tools"))
    await restart(world)
    assert "hello" in (await world.ask(alice, "hello")).text
    offered = {tool["name"]: tool for tool in world.emulators.openai.requests[-1].body["tools"]}
    assert "unavailable right now: asana" in offered["connect"]["description"]
    began = asyncio.get_running_loop().time()
    assert "hello" in (await world.ask(alice, "hello again")).text
    assert asyncio.get_running_loop().time() - began < 5, "the next one does not wait again"


@pytest.mark.usefixtures("hasty")
async def test_hanging_tools_do_not_delay_people_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    monkeypatch.setattr(Composio, "__init__", partialmethod(Composio.__init__, timeout=0.2))
    await restart(world)
    hold = world.emulators.composio.hold(matching(path="/tools"))
    assert "hello" in (await world.ask(alice, "hello")).text
    hold.release()


@pytest.mark.parametrize("ending", ["revoke", "expire", "disable"])
async def test_an_account_that_composio_ended_is_connected_again(world: World, ending: str) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    (session,) = world.emulators.composio.sessions
    (account,) = world.emulators.composio.accounts_of(session.user_id)
    getattr(world.emulators.composio, ending)(account.id)
    offer = await world.ask(alice, "list my tasks")
    assert offer.link is not None, "the request leads to a new link by itself"
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    assert "owner" in (await world.ask(alice, code)).text, "and resumes after it"


@pytest.mark.parametrize("request_", ["list my tasks", "create a task: Rest", "complete the task Rest"])
async def test_an_account_that_composio_no_longer_has_is_connected_again(world: World, request_: str) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    (session,) = world.emulators.composio.sessions
    (account,) = world.emulators.composio.accounts_of(session.user_id)
    world.emulators.composio.delete(account.id)
    offer = await world.ask(alice, request_)
    assert offer.link is not None, offer.text
    assert "Could not find" not in offer.text
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    assert "Asana is connected" in (await world.ask(alice, code)).text


async def test_an_approved_call_of_an_account_that_ended_meanwhile_leads_to_a_link(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    await world.ask(alice, "create a task: Rest")
    question = await world.ask(alice, "delete the task Rest")
    (session,) = world.emulators.composio.sessions
    (account,) = world.emulators.composio.accounts_of(session.user_id)
    world.emulators.composio.delete(account.id)
    await alice.tap(question, "Approve")
    assert (await alice.wait_for_message(timeout=20)).link is not None


async def test_a_session_that_composio_lost_is_created_again(world: World) -> None:
    def made() -> list[Effect]:
        return world.emulators.effects.all("session_created")

    alice = world.phone("Alice")
    await connect(world, alice)
    world.emulators.composio.fail(404, body=GONE, match=matching(path="/execute"))
    assert "owner" in (await world.ask(alice, "list my tasks")).text
    assert len(made()) == 2
    await restart(world)
    assert "owner" in (await world.ask(alice, "list my tasks")).text
    assert len(made()) == 2


@pytest.mark.parametrize("toolkits", ["asana,no_such_toolkit", "no_such_toolkit"])
async def test_a_toolkit_that_composio_does_not_have_is_an_alert(
    tmp_path: Path, toolkits: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with whole_world(tmp_path, kernel_toolkits=toolkits) as world:
        alice = world.phone("Alice")
        offer = await world.ask(alice, "connect my asana")
        assert (offer.link is not None) is ("asana" in toolkits)
        assert "hello" in (await world.ask(alice, "hello")).text
        await restart(world)
        assert "hello" in (await world.ask(alice, "hello again")).text
    assert ("KERNEL_TOOLKITS" in caplog.text) is ("asana" in toolkits)


async def test_refused_composio_sessions_are_an_alert_and_the_person_is_answered(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.phone("Alice")
    refuses = matching(path="/tool_router/session")
    world.emulators.composio.fail(400, times=1000, body=error("ToolRouterV2_BadRequest"), match=refuses)
    world.emulators.openai.script([[ToolCall("connect", {"toolkit": "asana", "remaining": ""})], "Not now."])
    assert (await world.ask(alice, "connect my asana")).text == "Not now."
    assert "alert: Composio refuses KERNEL_TOOLKITS" in caplog.text
    assert "hello" in (await world.ask(alice, "hello")).text


@pytest.mark.parametrize(("status", "body"), [(status, None) for status in (400, 401, 402, 403, 404, 409, 410, 422)])
async def test_a_consent_that_composio_does_not_complete_is_reported(
    tmp_path: Path, status: int, body: str | None
) -> None:
    async with whole_world(tmp_path, composio_verifier=True) as world:
        alice = world.phone("Alice")
        world.emulators.composio.set_verifier(f"{world.connect_url}/connect/verify")
        world.emulators.composio.fail(status, times=9, body=body, match=matching(path="/complete_auth"))
        offer = await world.ask(alice, "connect my asana")
        assert offer.link is not None
        async with a_browser() as browser:
            code = await browser.follow(offer.link.url)
        assert "could not be connected" in (await world.ask(alice, code)).text
        assert "hello" in (await world.ask(alice, "hello")).text


@pytest.mark.parametrize("status", [408, 500, 0])
async def test_a_consent_that_cannot_be_completed_now_is_waited_for_three_minutes(tmp_path: Path, status: int) -> None:
    async with whole_world(tmp_path, composio_verifier=True) as world:
        alice = world.phone("Alice")
        world.emulators.composio.set_verifier(f"{world.connect_url}/connect/verify")
        offer = await world.ask(alice, "connect my asana")
        assert offer.link is not None
        async with a_browser() as browser:
            code = await browser.follow(offer.link.url)
        hold = world.emulators.composio.hold(matching(path="/complete_auth"))
        world.emulators.composio.fail(status, times=99, match=matching(path="/complete_auth"))
        await alice.send(code)
        await hold.reached.wait()
        now = world.wall()
        world.wall = lambda: now + 190.0
        hold.release()
        assert texts.limits.WAITED_TOO_LONG in (await alice.wait_for_message(timeout=20)).text
        assert "hello" in (await world.ask(alice, "hello")).text
