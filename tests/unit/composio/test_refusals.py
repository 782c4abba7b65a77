"""The handling of each answer of Composio, through its own client: the rows of docs/reference/vendors.md."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from emulators.faults import matching
from kernel_service.composio.wire import ComposioRefusedError, SessionGoneError
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.tools import OUTCOME_UNKNOWN, Person
from serving.retry_after import LONGEST_WAIT
from tests.unit.composio.fakes import named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.composio.client import Composio
    from tests.unit.composio.fakes import World

ALICE = Person("p_alice", "whatsapp", "1")
EXECUTE = matching(path="/execute")


def error(slug: object, message: object = "Because.", **more: Any) -> str:
    return json.dumps({"error": {"message": message, "slug": slug, "code": 1, "status": 400, **more}})


# --- an execution -------------------------------------------------------------------------------------------------

REFUSED = "refused, in Composio's words"
UNKNOWN = "of unknown outcome"
EXECUTIONS: list[tuple[int, str | None, str]] = [
    (400, error("ToolRouterV2_NoActiveConnection"), REFUSED),
    (400, error("ToolRouterV2_ToolNotAllowed"), REFUSED),
    (400, error("ToolRouterV2_InvalidConnectedAccountIds"), REFUSED),
    (400, error("HTTP_BadRequest", errors=["Error in payload.arguments"]), REFUSED),
    (404, error("ToolRouterV2_ToolNotFound"), REFUSED),
    (405, error("HTTP_MethodNotAllowed"), REFUSED),
    (409, error("HTTP_Conflict"), REFUSED),
    (410, error("Tool_Removed"), REFUSED),
    (413, error("HTTP_PayloadTooLarge"), REFUSED),
    (422, error("HTTP_Unprocessable"), REFUSED),
    (403, error("ConnectedAccount_UserIdMismatch"), REFUSED),
    (401, None, "tools_reject_key"),
    (402, error("HTTP_PaymentRequired"), "tools_unpaid"),
    (403, None, "tools_reject_key"),
    (429, None, "tools_busy"),
    (503, None, "tools_unavailable"),
    (404, error("ToolRouterV2_SessionNotFound"), "session gone"),
    (410, error("ToolRouterV2_SessionExpired"), "session gone"),
    (408, None, UNKNOWN),
    (500, None, UNKNOWN),
    (502, "<html>bad gateway</html>", UNKNOWN),
    (504, "", UNKNOWN),
    (0, None, UNKNOWN),
    (200, "<html>", UNKNOWN),
    (200, "", UNKNOWN),
    (200, "[]", UNKNOWN),
    (200, "{}", UNKNOWN),
    (200, '{"data": {}, "result_type": "odd"}', UNKNOWN),
    (200, '{"data": {"cut": "of', UNKNOWN),
    (200, '{"data": {}, "result_type": "failed"}', REFUSED),
    (200, '{"data": {}, "error": "Because."}', REFUSED),
    (200, '{"data": {}, "error": {"a": 1}, "result_type": "completed"}', REFUSED),
    (200, '{"result_type": "input_required", "input_requests": []}', REFUSED),
    (200, '{"result_type": "blocked"}', REFUSED),
    # Bodies that are none of Composio's.
    (400, "<html>", REFUSED),
    (400, "[]", REFUSED),
    (400, '{"error": "no"}', REFUSED),
    (400, error({"a": 1}, ["odd"], errors={"a": 1}, suggested_fix=7), REFUSED),
    (400, error("x\ny what they said", None), REFUSED),
    (400, "[" * 100_000, UNKNOWN),
    (404, None, REFUSED),
]


@pytest.mark.parametrize(("status", "body", "becomes"), EXECUTIONS)
async def test_the_result_of_an_execution(
    world: World, status: int, body: str | None, becomes: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = await world.composio.create_session("p_alice", [])
    world.vendor.fail(status, body=body, match=EXECUTE)
    call = world.composio.execute(session, "ASANA_CREATE_TASK", {"name": "x"}, "ca_1")
    if becomes == "session gone":
        with pytest.raises(SessionGoneError):
            await call
    elif becomes.startswith("tools_"):
        with pytest.raises(VendorUnavailable) as caught:
            await call
        assert caught.value.problem == becomes
    else:
        result = await call
        assert not result.ok
        assert result.output
        assert (result.output == OUTCOME_UNKNOWN) is (becomes == UNKNOWN)
    assert world.requests("/execute") == 1, "it must never be repeated"
    assert "what they said" not in caplog.text


async def test_a_stall_is_cut_off_and_may_have_been_done(world: World) -> None:
    session = await world.composio.create_session("p_alice", [])
    hold = world.vendor.hold(EXECUTE)
    result = await world.client(execute_timeout=0.05).execute(session, "ASANA_CREATE_TASK", {"name": "x"}, "ca_1")
    hold.release()
    assert result.output == OUTCOME_UNKNOWN


@pytest.mark.parametrize("arguments", [{"name": "half \ud83d"}, {"name": "a\0b"}, {"n": 2**70}, {"n": float("nan")}])
async def test_arguments_that_json_cannot_carry_are_repaired(world: World, arguments: dict[str, Any]) -> None:
    session = await world.composio.create_session("p_alice", [])
    result = await world.composio.execute(session, "HACKERNEWS_GET_LATEST_POSTS", arguments, "ca_1")
    assert result.output != OUTCOME_UNKNOWN
    assert "\0" not in str(world.vendor.requests[-1].body)


# --- whatever else is asked -----------------------------------------------------------------------------------------

ASKED: dict[str, tuple[str, Callable[[Composio], Awaitable[Any]]]] = {
    "create": ("/session", lambda composio: composio.create_session("p_alice", [])),
    "toolkit": ("/toolkits", lambda composio: composio.toolkit("trs_1", "asana")),
    "search": ("/search", lambda composio: composio.search("trs_1", "tasks")),
    "link": ("/link", lambda composio: composio.link("trs_1", "asana")),
    "account": ("/connected_accounts", lambda composio: composio.account("ca_1")),
    "complete_auth": ("/complete_auth", lambda composio: composio.complete_auth("p_alice", "uri")),
    "delete": ("/connected_accounts", lambda composio: composio.delete_account("ca_1")),
    "tools": ("/tools", lambda composio: composio.tools_of("asana")),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, None) for status in (401, 402, 403, 408, 429, 500, 503, 0)),
        *((200, body) for body in ("<html>", "", "[]", "null", "[" * 50_000)),
        (502, "<html>"),
    ],
)
async def test_an_absence_is_an_absence_whatever_is_asked(
    world: World, asked: str, status: int, body: str | None
) -> None:
    path, ask = ASKED[asked]
    world.vendor.fail(status, times=9, body=body, match=matching(path=path))
    final = asked == "complete_auth" and status in {401, 402, 403}  # any no to a verification is
    with pytest.raises(ComposioRefusedError if final else VendorUnavailable):
        await ask(world.composio)
    assert world.requests(path) == 1


@pytest.mark.parametrize("asked", ["create", "toolkit", "search", "link", "complete_auth", "delete"])
@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_a_refusal_is_a_refusal(world: World, asked: str, status: int) -> None:
    path, ask = ASKED[asked]
    world.vendor.fail(status, body=error("HTTP_BadRequest"), match=matching(path=path))
    with pytest.raises(ComposioRefusedError):
        await ask(world.composio)


@pytest.mark.parametrize("status", [404, 410])
async def test_an_account_that_is_gone_is_gone(world: World, status: int) -> None:
    world.vendor.fail(status, times=2, body=error("ConnectedAccount_ResourceNotFound"))
    assert await world.composio.account("ca_1") is None
    await world.composio.delete_account("ca_1")


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_an_account_that_is_refused_says_nothing_of_its_state(world: World, status: int) -> None:
    """Neither that it is gone, which would end the connection, nor an error that would break the turn."""
    connection = await world.connect("p_alice")
    world.vendor.fail(status, times=9, body=error("HTTP_BadRequest"), match=matching(path="/connected_accounts"))
    with pytest.raises(VendorUnavailable):
        await world.connections.still_connected("p_alice", "asana")
    assert (await world.connections.active("p_alice", "asana"))[0].id == connection.id


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_tools_that_composio_refuses_are_not_asked_for_each_turn(world: World, status: int) -> None:
    world.vendor.fail(status, times=9, body=error("ConnectedAccount_UserIdMismatch"), match=matching(path="/tools"))
    assert await world.composio.tools_of("asana") == []
    assert await world.composio.tools_of("asana") == []
    assert world.requests("/tools") == 1
    world.vendor.clear()
    world.clock.now += 301
    assert await world.composio.tools_of("asana")


@pytest.mark.parametrize(
    ("told", "seconds"), [("soon", None), (1e300, LONGEST_WAIT), ("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST_WAIT)]
)
async def test_the_time_to_come_back_is_bounded(world: World, told: float | str, seconds: float | None) -> None:
    world.vendor.fail(503, retry_after=told)
    with pytest.raises(VendorUnavailable) as caught:
        await world.composio.create_session("p_alice", [])
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(("status", "problem"), [(401, "tools_reject_key"), (402, "tools_unpaid")])
async def test_the_operators_action_is_logged_once(
    world: World, status: int, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.vendor.fail(status, times=3)
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            await world.composio.create_session("p_alice", [])
    assert caplog.text.count(f"alert: {problem}") == 1
    with caplog.at_level(logging.WARNING):
        await world.composio.create_session("p_alice", [])
    assert f"{problem} is over" in caplog.text


# --- what a person has of it ------------------------------------------------------------------------------------------


async def offered(world: World) -> list[str]:
    return [each.schema.name for each in await world.toolbox().tools_for(ALICE)]


async def test_unavailable_tools_affect_only_their_toolkit(world: World) -> None:
    await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    world.vendor.fail(500, times=99, match=matching(path="/tools", text=""))
    with pytest.raises(VendorUnavailable):  # it may be there in a moment
        await offered(world)
    world.vendor.clear()
    await world.composio.tools_of("gmail")
    world.vendor.fail(500, times=99, match=matching(path="/tools"))
    world.clock.now += 11
    assert await offered(world) == ["connect", "disconnect", "GMAIL_FETCH_EMAILS", "GMAIL_SEND_EMAIL"]
    connect = named(await world.toolbox().tools_for(ALICE), "connect")
    assert "unavailable right now: asana." in connect.schema.description
    before = world.requests("/tools")
    await offered(world)
    assert world.requests("/tools") == before, "not each turn finds out by itself"
    world.vendor.clear()
    world.clock.now += 31
    assert "ASANA_LIST_TASKS" in await offered(world)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_turn_does_not_wait_for_an_operators_fix(world: World, status: int) -> None:
    await world.connect("p_alice")
    world.vendor.fail(status, times=99, match=matching(path="/tools"))
    assert await offered(world) == ["connect", "disconnect"]


async def test_an_approved_call_whose_tool_is_away_is_not_made_and_not_lost_in_silence(world: World) -> None:
    connection = await world.connect("p_alice")
    world.vendor.fail(401, times=99, match=matching(path="/tools"))
    tool = await world.toolbox().named(ALICE, "ASANA_DELETE_TASK")
    assert tool is not None
    assert await tool.account_for(ALICE, {}) == connection.id
    with pytest.raises(VendorUnavailable):
        await tool.call(ALICE, {"task_gid": "1"})
    assert await world.toolbox().named(ALICE, "GMAIL_SEND_EMAIL") is None


async def test_a_toolkit_that_composio_has_not_costs_that_toolkit_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.restart("asana", "no_such_toolkit", "gmail")
    assert await world.connections.sessions.of("p_alice")
    assert "KERNEL_TOOLKITS" in caplog.text
    assert "remove from it: no_such_toolkit" in caplog.text
    (session,) = world.vendor.sessions
    assert (session.allows_toolkit("asana"), session.allows_toolkit("hackernews")) == (True, False)
    before = len(world.vendor.requests)
    assert await world.connections.sessions.of("p_bob")
    assert len(world.vendor.requests) == before + 1


@pytest.mark.parametrize("toolkits", [["no_such_toolkit"], ["no_such_toolkit", "nor_this"]])
async def test_without_any_toolkit_that_composio_has_there_is_no_session_that_allows_all(
    world: World, toolkits: list[str]
) -> None:
    world.restart(*toolkits)
    with pytest.raises(VendorUnavailable) as caught:
        await world.connections.sessions.of("p_alice")
    assert caught.value.problem == "tools_refuse_settings"
    assert not world.vendor.sessions
