from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from emulators.composio.catalogue import Tool as VendorTool
from emulators.composio.catalogue import Toolkit
from emulators.faults import matching
from kernel_service.composio.client import Composio
from kernel_service.composio.wire import ComposioRefusedError, SessionGoneError
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.tools import OUTCOME_UNKNOWN
from kernel_service.rate_limits.current_tenant import as_tenant
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

EXECUTE = matching(path="/execute")


async def connected(world: World, person_id: str = "p_alice") -> tuple[str, str]:
    """A session, and an active account in it."""
    session = await world.composio.create_session(person_id, [])
    link = await world.composio.link(session, "asana")
    world.vendor.approve(link.url)
    return session, link.account_id


async def test_the_last_check_comes_after_the_wait_in_the_queue_and_before_the_request(world: World) -> None:
    def refuse() -> None:
        raise Busy("no_heartbeat", 1.0)

    session, account = await connected(world)
    with pytest.raises(Busy):
        await world.client(before_effect=refuse).execute(session, "ASANA_CREATE_TASK", {"name": "Buy milk"}, account)
    assert not any("/execute" in request.path for request in world.vendor.requests)


async def test_a_session_runs_no_code_and_makes_no_links(world: World) -> None:
    await world.composio.create_session("p_alice", ["gmail", "asana"])
    (session,) = world.vendor.sessions
    assert session.user_id == "p_alice"
    assert session.allows_toolkit("asana")
    assert not session.allows_toolkit("hackernews")
    meta_tools = set(session.meta_tools())
    assert not meta_tools & {"COMPOSIO_MANAGE_CONNECTIONS", "COMPOSIO_REMOTE_WORKBENCH", "COMPOSIO_REMOTE_BASH_TOOL"}


@pytest.mark.parametrize("person_id", ["", "default", "default_user", "p_a,p_b"])
async def test_ids_under_which_people_would_meet_are_refused(world: World, person_id: str) -> None:
    with pytest.raises(ValueError, match="never"):
        await world.composio.create_session(person_id, [])
    assert not world.vendor.requests


async def test_a_link_its_account_and_its_end(world: World) -> None:
    session = await world.composio.create_session("p_alice", [])
    link = await world.composio.link(session, "asana")
    assert link.expires_at == world.clock.now + 600
    account = await world.composio.account(link.account_id)
    assert account is not None
    assert (account.status, account.person_id) == ("INITIATED", "p_alice")
    world.vendor.approve(link.url)
    account = await world.composio.account(link.account_id)
    assert account is not None
    assert account.status == "ACTIVE"
    await world.composio.delete_account(link.account_id)
    await world.composio.delete_account(link.account_id)
    assert await world.composio.account(link.account_id) is None


async def test_an_execution_names_its_account(world: World) -> None:
    session, account = await connected(world)
    result = await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "Buy milk"}, account)
    assert result.ok
    assert json.loads(result.output)["data"]["name"] == "Buy milk"
    (effect,) = world.effects.all("tool_execution")
    assert (effect.person, effect.detail["account"]) == ("p_alice", account)


async def test_a_tools_refusal_is_a_result(world: World) -> None:
    session, account = await connected(world)
    missing = await world.composio.execute(session, "ASANA_CREATE_TASK", {}, account)
    assert not missing.ok
    assert "missing" in missing.output
    unknown = await world.composio.execute(session, "ASANA_FLY", {}, account)
    assert not unknown.ok
    assert "not found" in unknown.output


async def test_another_persons_account_is_refused_by_the_vendor_too(world: World) -> None:
    session, _ = await connected(world)
    _, foreign = await connected(world, "p_bob")
    result = await world.composio.execute(session, "ASANA_LIST_TASKS", {}, foreign)
    assert not result.ok
    assert not world.effects.all("tool_execution")


@pytest.mark.parametrize("status", [0, 500, 502, 504])
async def test_an_execution_whose_answer_is_lost_may_have_been_done(world: World, status: int) -> None:
    session, account = await connected(world)
    world.vendor.fail(status, times=5, match=EXECUTE)
    result = await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, account)
    assert (result.ok, result.output) == (False, OUTCOME_UNKNOWN)
    assert world.requests("/execute") == 1, "it must never be repeated"


@pytest.mark.parametrize("body", ["<html>", "[]", "", "{}"])
async def test_an_execution_that_answers_nonsense_may_have_been_done(world: World, body: str) -> None:
    session, account = await connected(world)
    world.vendor.fail(200, body=body, match=EXECUTE)
    result = await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, account)
    assert (result.ok, result.output) == (False, OUTCOME_UNKNOWN)


async def test_an_execution_that_takes_too_long_may_have_been_done(world: World) -> None:
    session, account = await connected(world)
    hold = world.vendor.hold(EXECUTE)
    hasty = world.client(execute_timeout=0.05)
    result = await hasty.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, account)
    hold.release()
    assert (result.ok, result.output) == (False, OUTCOME_UNKNOWN)


@pytest.mark.parametrize(("result_type", "words"), [("input_required", "nothing was done"), ("blocked", "nothing")])
async def test_an_execution_that_asks_back(world: World, result_type: str, words: str) -> None:
    session, account = await connected(world)
    world.vendor.fail(200, body=json.dumps({"result_type": result_type, "input_requests": {}}), match=EXECUTE)
    result = await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, account)
    assert not result.ok
    assert words in result.output


@pytest.mark.parametrize(
    ("status", "problem"),
    [(401, "tools_reject_key"), (403, "tools_reject_key"), (429, "tools_busy"), (503, "tools_unavailable")],
)
async def test_an_execution_that_was_turned_away_did_nothing(world: World, status: int, problem: str) -> None:
    session, account = await connected(world)
    world.vendor.fail(status, retry_after=9, match=EXECUTE)
    with pytest.raises(VendorUnavailable) as caught:
        await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, account)
    assert caught.value.problem == problem
    assert not world.effects.all("tool_execution")


async def test_a_vendor_who_is_away_did_nothing() -> None:
    composio = Composio("ak_emulated", "http://127.0.0.1:1", queue=unlimited_queue("tools"))
    with pytest.raises(VendorUnavailable) as caught:
        await composio.execute("trs_1", "ASANA_CREATE_TASK", {}, "ca_1")
    await composio.close()
    assert caught.value.problem == "tools_unavailable"


async def test_a_forgotten_session_raises_a_separate_error(world: World) -> None:
    with pytest.raises(SessionGoneError):
        await world.composio.execute("trs_gone00000000", "ASANA_LIST_TASKS", {}, "ca_1")


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "tools_reject_key"),
        (500, "tools_unavailable"),
        (0, "tools_unavailable"),
    ],
)
async def test_other_requests_wait_for_the_vendor(world: World, status: int, problem: str) -> None:
    world.vendor.fail(status, retry_after=3 if status else None)
    with pytest.raises(VendorUnavailable) as caught:
        await world.composio.create_session("p_alice", [])
    assert caught.value.problem == problem
    assert caught.value.retry_after is None
    assert await world.composio.create_session("p_alice", [])


async def test_a_vendor_who_names_a_time_is_left_alone_by_everybody(world: World) -> None:
    world.vendor.fail(429, retry_after=7)
    for person in ("p_1", "p_2"):
        with as_tenant(person), pytest.raises(Busy) as caught:
            await world.composio.create_session(person, [])
        assert caught.value.problem == "tools_busy"
        assert caught.value.retry_after == pytest.approx(7, abs=0.5)
    assert len(world.vendor.requests) == 1


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"session_id": 3}', "null"])
async def test_nonsense_counts_as_away(world: World, body: str) -> None:
    world.vendor.fail(200, body=body)
    with pytest.raises(VendorUnavailable):
        await world.composio.create_session("p_alice", [])


@pytest.mark.parametrize("body", ['{"items": 1}', '{"items": [1]}', '{"items": [{}]}', '{"results": [1]}'])
async def test_lists_of_nonsense_count_as_away(world: World, body: str) -> None:
    world.vendor.fail(200, times=2, body=body)
    with pytest.raises(VendorUnavailable):
        await world.composio.tools_of("asana")
    with pytest.raises(VendorUnavailable):
        await world.composio.search("trs_1", "tasks")


async def test_a_slow_vendor_counts_as_away(world: World) -> None:
    hold = world.vendor.hold()
    with pytest.raises(VendorUnavailable):
        await world.client(timeout=0.05).create_session("p_alice", [])
    hold.release()


async def test_a_wrong_key(world: World) -> None:
    with pytest.raises(VendorUnavailable) as caught:
        await world.client("ak_other").create_session("p_alice", [])
    assert caught.value.problem == "tools_reject_key"


async def test_a_refused_request(world: World) -> None:
    with pytest.raises(ComposioRefusedError):
        await world.composio.create_session("p_alice", ["no_such_toolkit"])


async def test_schemas_are_fetched_once_for_everybody(world: World) -> None:
    many = await asyncio.gather(*(world.composio.tools_of("asana") for _ in range(50)))
    assert world.requests("/tools") == 1
    assert many[0] is many[49]
    hints = {tool.schema.name: tool.read_only for tool in many[0]}
    assert hints["ASANA_LIST_TASKS"]
    assert not hints["ASANA_CREATE_TASK"]
    assert "Asana: Create a task" in {tool.schema.title for tool in many[0]}
    world.clock.now += 3601
    await world.composio.tools_of("asana")
    assert world.requests("/tools") == 2


async def test_old_schemas_serve_while_the_vendor_is_away(world: World) -> None:
    tools = await world.composio.tools_of("asana")
    world.clock.now += 3601
    world.vendor.fail(500)
    assert await world.composio.tools_of("asana") == tools


async def test_all_pages_of_a_large_toolkit(world: World) -> None:
    tools = [
        VendorTool(f"BIG_{number}", "big", "Big", "Do it.", (), {}, (), lambda _place, _arguments: {})
        for number in range(700)
    ]
    world.vendor.catalogue.add(Toolkit("big", "Big", "Many tools."), *tools)
    assert len(await world.composio.tools_of("big")) == 700


async def test_search_finds_slugs(world: World) -> None:
    session = await world.composio.create_session("p_alice", [])
    assert "GMAIL_SEND_EMAIL" in await world.composio.search(session, "send an email")


async def test_a_toolkit_is_asked_for_once(world: World) -> None:
    session = await world.composio.create_session("p_alice", [])
    toolkit = await world.composio.toolkit(session, "gmail")
    assert toolkit is not None
    assert toolkit.name == "Gmail"
    await world.composio.toolkit(session, "gmail")
    assert world.requests("/toolkits") == 1
    assert await world.composio.toolkit(session, "nope") is None


async def test_nothing_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        session, account = await connected(world)
        await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "secret"}, account)
        world.vendor.fail(500, match=EXECUTE)
        await world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "secret"}, account)
    assert "tool outcome unknown" in caplog.text
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp")]
    for secret in (session, account, "secret", "lk_"):
        assert not [message for message in ours if secret in message]
