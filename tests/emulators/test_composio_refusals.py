"""The emulator refuses the same requests as Composio, in Composio's error format."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from composio_client import APIStatusError, AsyncComposio, AuthenticationError, NoAuth, ProjectAuth

from emulators.app import Emulators

SESSION = "tool_router/session"
NOTICES = ("reserved_user_id", "unfiltered_accounts")
# Method, path below the sessions (or from the root of the API), body, and the slug and words of the refusal.
Refusal = tuple[str, str, dict[str, Any], str, str]
REFUSED: list[Refusal] = [
    ("POST", "", {}, "HTTP_BadRequest", "Error in payload.user_id: Field required"),
    ("POST", "", {"user_id": ""}, "HTTP_BadRequest", "Error in payload.user_id"),
    ("POST", "", {"user_id": 7}, "HTTP_BadRequest", "valid string"),
    ("POST", "", {"user_id": "u", "userid": 1}, "HTTP_BadRequest", "Error in payload.userid: Unrecognized key"),
    ("POST", "", {"user_id": "u", "toolkits": {"enabled": []}}, "HTTP_BadRequest", "Error in payload.toolkits"),
    ("POST", "", {"user_id": "u", "toolkits": ["asana"]}, "HTTP_BadRequest", "Error in payload.toolkits"),
    ("POST", "", {"user_id": "u", "manage_connections": True}, "HTTP_BadRequest", "payload.manage_connections"),
    ("POST", "", {"user_id": "u", "sandbox": {"enable": False}}, "HTTP_BadRequest", "payload.sandbox"),
    ("POST", "", {"user_id": "u", "toolkits": {"enable": ["asna"]}}, "ToolRouterV2_BadRequest", "asna"),
    ("POST", "", {"user_id": "u", "tools": {"asana": {"enable": ["X"]}}}, "ToolRouterV2_BadRequest", "X"),
    ("POST", "", {"user_id": "u", "preload": {"tools": "all"}}, "ToolRouterV2_BadRequest", "preload.tools"),
    ("POST", "", {"user_id": "u", "multi_account": {"max_accounts_per_toolkit": 1}}, "HTTP_BadRequest", "than"),
    ("PATCH", "/trs_own", {"user_id": "v"}, "HTTP_BadRequest", "payload.user_id: Unrecognized key"),
    ("GET", "/trs_nothing", {}, "ToolRouterV2_SessionNotFound", "trs_nothing"),
    ("POST", "/trs_nothing/execute", {"tool_slug": "X"}, "ToolRouterV2_SessionNotFound", "trs_nothing"),
    ("POST", "/trs_own/link", {}, "HTTP_BadRequest", "payload.toolkit"),
    ("POST", "/trs_own/link", {"toolkit": "asana", "callback_url": "x"}, "HTTP_BadRequest", "callback_url"),
    ("POST", "/trs_own/link", {"toolkit": "nowhere"}, "Toolkit_ToolkitNotFound", "nowhere"),
    ("POST", "/trs_own/link", {"toolkit": "gmail"}, "ToolRouterV2_ToolkitNotAllowed", "[Session Restriction]"),
    ("POST", "/trs_own/execute", {"slug": "X"}, "HTTP_BadRequest", "payload.tool_slug"),
    ("POST", "/trs_own/execute", {"tool_slug": "X", "arguments": []}, "HTTP_BadRequest", "payload.arguments"),
    ("POST", "/trs_own/execute", {"tool_slug": "X"}, "ToolRouterV2_ToolNotFound", "X"),
    ("POST", "/trs_own/execute", {"tool_slug": "GMAIL_SEND_EMAIL"}, "ToolRouterV2_ToolkitNotAllowed", "gmail"),
    ("POST", "/trs_own/execute", {"tool_slug": "ASANA_DELETE_TASK"}, "ToolRouterV2_ToolNotAllowed", "ASANA"),
    ("POST", "/trs_own/execute", {"tool_slug": "ASANA_LIST_TASKS"}, "ToolRouterV2_NoActiveConnection", "asana"),
    (
        "POST",
        "/trs_own/execute",
        {"tool_slug": "ASANA_LIST_TASKS", "account": "ca_unknown"},
        "ToolRouterV2_InvalidConnectedAccountIds",
        "ca_unknown",
    ),
    ("POST", "/trs_own/execute_meta", {"slug": "COMPOSIO_DANCE"}, "HTTP_BadRequest", "payload.slug"),
    ("POST", "/trs_own/search", {"queries": []}, "HTTP_BadRequest", "payload.queries"),
    ("POST", "/trs_own/search", {"queries": [{"query": "x"}]}, "HTTP_BadRequest", "payload.queries.0.use_case"),
    ("GET", "/trs_own/tools?limit=501", {}, "HTTP_BadRequest", "Error in query.limit"),
    ("GET", "/trs_own/tools?page=2", {}, "HTTP_BadRequest", "Error in query.page: Unrecognized key"),
    ("GET", "/trs_own/tools?cursor=nonsense", {}, "HTTP_BadRequest", "Invalid cursor"),
    ("POST", "/trs_own/proxy_execute", {}, "HTTP_NotFound", "Cannot POST"),
    ("GET", "/../connected_accounts?statuses=LOST", {}, "HTTP_BadRequest", "Error in query.statuses"),
    ("GET", "/../connected_accounts/ca_none", {}, "ConnectedAccount_ResourceNotFound", '"ca_none" not found'),
    ("DELETE", "/../connected_accounts/ca_none", {}, "ConnectedAccount_ResourceNotFound", "ca_none"),
    (
        "POST",
        "/../connected_accounts/complete_auth",
        {"user_id": "u", "session_uri": "made-up"},
        "ConnectedAccount_BadRequest",
        "Session not found",
    ),
    ("GET", "/../tools/NO_TOOL", {}, "ToolRouterV2_ToolNotFound", "NO_TOOL"),
]


@pytest.fixture
async def api(emulators: Emulators) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for requests that no client of Composio sends."""
    headers = {"x-api-key": emulators.config.composio_api_key}
    base = f"{emulators.composio.base_url}/api/v3.1/"
    async with aiohttp.ClientSession(base, headers=headers) as session:
        yield session


@pytest.fixture
async def own(composio: AsyncComposio) -> str:
    session = await composio.tool_router.session.create(
        user_id="u",
        toolkits={"enable": ["asana"]},
        tools={"asana": {"disable": ["ASANA_DELETE_TASK"]}},
    )
    return session.session_id


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[0]} {row[1]} {row[4]}" for row in REFUSED])
async def test_refused(api: aiohttp.ClientSession, emulators: Emulators, own: str, row: Refusal) -> None:
    method, path, body, slug, words = row
    path = path.removeprefix("/../") if path.startswith("/../") else f"{SESSION}{path.replace('trs_own', own)}"
    before = len(emulators.effects.all())
    async with api.request(method, path, json=body or None) as answer:
        error = (await answer.json())["error"]
    assert error["slug"] == slug
    assert words in " ".join([error["message"], *error.get("errors", [])])
    assert error["status"] == answer.status
    assert error["request_id"] == answer.headers["x-request-id"]
    assert set(error) - {"errors"} == {"message", "slug", "code", "status", "request_id", "suggested_fix"}
    assert [e.kind for e in emulators.effects.all(after=before) if e.kind not in NOTICES] == []


async def test_an_empty_user_id_is_recorded(composio: AsyncComposio, emulators: Emulators) -> None:
    with pytest.raises(APIStatusError):
        await composio.tool_router.session.create(user_id="")
    assert emulators.effects.all("reserved_user_id")


async def test_keys(emulators: Emulators) -> None:
    for auth, words in ((ProjectAuth("ak_wrong"), "Invalid API key"), (NoAuth(), "No API key")):
        async with AsyncComposio(auth=auth, base_url=emulators.composio.base_url) as client:
            with pytest.raises(AuthenticationError, match=words):
                await client.toolkits.list()


async def test_a_key_may_come_as_a_plain_header(emulators: Emulators) -> None:
    headers = {"x-api-key": emulators.config.composio_api_key}
    async with AsyncComposio(auth=NoAuth(), base_url=emulators.composio.base_url, default_headers=headers) as client:
        assert (await client.toolkits.list()).items


@pytest.mark.parametrize("body", [b"{nonsense", b"[]", b"\xff"])
async def test_a_body_that_is_not_a_json_object_is_refused(api: aiohttp.ClientSession, own: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with api.post(f"{SESSION}/{own}/execute", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["message"]) == (400, "Invalid JSON in request body")
