"""The requests to Composio: sessions, toolkits, accounts, execution. Those about triggers are in triggers.py.

Source of the shapes: composio-client 2.0.0rc19, `types/tool_router` and `types/*_response.py`.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from kernel_service import tool_schemas
from kernel_service.approvals.hints import hints_of
from kernel_service.composio.triggers import ComposioTriggers
from kernel_service.composio.wire import ALERTS, ComposioRefusedError, MaybeDoneError, SessionGoneError, Wire
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.hints import Effect
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.tools import OUTCOME_UNKNOWN, ToolResult
from kernel_service.single_flight import SingleFlight
from kernel_service.storable import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.hints import Hints
    from kernel_service.rate_limits.fair_queue import FairQueue

log = logging.getLogger(__name__)

LINK_SECONDS: Final = 600
"""How long a connect link is valid; the vendor's answer does not say it."""
MOST_TITLE: Final = 100
MOST_WAIT_SECONDS: Final = 5.0
"""How long turns wait for a toolkit's tools. Such a short wait is not reported to the person."""
PAUSE_SECONDS: Final = 30.0
"""How long a toolkit is not asked for after that."""
EMPTY_SECONDS: Final = 300.0
"""How long a toolkit without any tools, or one that Composio refuses, is not asked for again."""
MOST_TOOLS: Final = 5000
"""Of a toolkit; the largest has about a thousand."""

_SESSIONS: Final = "/api/v3.1/tool_router/session"
_ACCOUNTS: Final = "/api/v3.1/connected_accounts"
_TOOLS: Final = "/api/v3.1/tools"
_TOOLKITS: Final = "/api/v3.1/toolkits"
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_RESERVED: Final = ("", "default", "default_user")


@dataclass(frozen=True, slots=True)
class Toolkit:
    slug: str
    name: str
    no_auth: bool


@dataclass(frozen=True, slots=True)
class ToolkitTool:
    """A tool of a toolkit, the same for everyone. `slug` is Composio's name; the model's is in the schema."""

    slug: str
    schema: ToolSchema
    hints: Hints

    @property
    def toolkit(self) -> str:
        return self.hints.toolkit

    @property
    def read_only(self) -> bool:
        return self.hints.effect is Effect.READS


@dataclass(frozen=True, slots=True)
class ConnectLink:
    """The address where a person gives their consent, and the resulting account. `expires_at` is in epoch seconds."""

    url: str
    account_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Account:
    """`status` is INITIALIZING, INITIATED, ACTIVE, FAILED, EXPIRED, INACTIVE or REVOKED."""

    status: str
    person_id: str


def settings_of(toolkits: Sequence[str]) -> dict[str, Any]:
    """A session's settings: nothing that runs code, makes links or executes other tools by itself."""
    settings: dict[str, Any] = {"manage_connections": {"enable": False}, "workbench": {"enable": False}}
    if toolkits:
        settings["toolkits"] = {"enable": sorted(toolkits)}
    return settings


def configuration_of(toolkits: Sequence[str]) -> str:
    """A hash of a session's settings: sessions of the same hash are alike."""
    return hashlib.sha256(orjson.dumps(settings_of(toolkits), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


class Composio:
    """`timeout` bounds a request, `execute_timeout` a tool's execution, both in seconds.

    Every method waits in the fair `queue`, and may raise Busy where it says VendorUnavailable.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = "https://backend.composio.dev",
        *,
        queue: FairQueue,
        timeout: float = 15.0,
        execute_timeout: float = 60.0,
        schema_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
        before_effect: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_effect` is called directly before a tool is executed. It raises Busy if that must not happen now."""
        self._before_effect = before_effect
        self._wire = Wire(api_key, base_url, timeout=timeout, queue=queue)
        self.triggers = ComposioTriggers(self._wire, type_seconds=schema_seconds, clock=clock, admitted=before_effect)
        self._execute_timeout = execute_timeout
        self._schema_seconds = schema_seconds
        self._clock = clock
        self._flights = SingleFlight()
        self._schemas: dict[str, tuple[float, list[ToolkitTool]]] = {}
        self._failing: dict[str, tuple[float, float]] = {}
        """Toolkits whose tools are unavailable: since when, and when they were last requested."""
        self._toolkits: dict[str, Toolkit] = {}

    async def close(self) -> None:
        await self._wire.close()

    # --- sessions and toolkits ----------------------------------------------------------------------------------

    async def create_session(self, person_id: str, toolkits: Sequence[str]) -> str:
        """A session for this person; `toolkits` are the allowed ones, empty: all."""
        # Composio accepts any of these, and the accounts of all people would be under the same id.
        if person_id in _RESERVED or "," in person_id:
            raise ValueError("a person's id at Composio is never empty, a default, and has no comma")
        made = await self._wire.ask("post", _SESSIONS, body={"user_id": person_id, **settings_of(toolkits)})
        return _text(made, "session_id")

    async def delete_session(self, session_id: str) -> None:
        """Delete it, if it is still there. Source: "Delete a tool router session" of Composio's API 3.1."""
        try:
            await self._wire.ask("delete", f"{_SESSIONS}/{session_id}")
        except SessionGoneError:
            pass
        except ComposioRefusedError as refused:
            if refused.status not in _GONE:
                raise

    async def unknown(self, toolkits: Sequence[str]) -> list[str]:
        """The toolkits of these that Composio does not have, or has no longer."""
        return [slug for slug in toolkits if not await self._has(slug)]

    async def _has(self, slug: str) -> bool:
        try:
            await self._wire.ask("get", f"{_TOOLKITS}/{quote(slug, safe='')}")
        except ComposioRefusedError:
            return False
        return True

    async def toolkit(self, session_id: str, slug: str) -> Toolkit | None:
        """The toolkit of that name, cached permanently; None: there is none."""
        if slug not in self._toolkits:
            path = f"{_SESSIONS}/{session_id}/toolkits"
            answer = await self._wire.ask("get", path, query={"toolkits": slug, "limit": 1})
            for item in _dicts(answer, "items"):
                if item.get("slug") == slug:
                    self._toolkits[slug] = Toolkit(slug, _text(item, "name"), item.get("is_no_auth") is True)
        return self._toolkits.get(slug)

    async def search(self, session_id: str, use_case: str) -> list[str]:
        """Slugs of the tools that fit the use case, the best first."""
        body = {"queries": [{"use_case": use_case[:1024]}]}
        found = await self._wire.ask("post", f"{_SESSIONS}/{session_id}/search", body=body)
        results = _dicts(found, "results")
        kinds = ("primary_tool_slugs", "related_tool_slugs")
        lists = [result.get(kind) for kind in kinds for result in results]
        slugs = [slug for named in lists if isinstance(named, list) for slug in named if isinstance(slug, str)]
        return list(dict.fromkeys(slugs))

    async def tools_of(self, toolkit: str) -> list[ToolkitTool]:
        """The toolkit's tools, kept for `schema_seconds`, and longer while Composio is unavailable.

        VendorUnavailable: the tools are unknown. waits_for() says whether to try again.
        """
        now, kept = self._clock(), self._schemas.get(toolkit)
        if kept is not None and now < kept[0]:
            return kept[1]
        first, last = self._failing.get(toolkit, (now, -PAUSE_SECONDS))
        if now - first > MOST_WAIT_SECONDS and now - last < PAUSE_SECONDS:
            raise VendorUnavailable("tools_unavailable")
        try:
            return await self._flights.run(toolkit, lambda: self._fetch_tools(toolkit))
        except Busy:
            raise
        except VendorUnavailable:
            if kept is None:
                self._failing[toolkit] = (first, self._clock())
                raise
            self._schemas[toolkit] = (self._clock() + PAUSE_SECONDS, kept[1])
            return kept[1]
        except ComposioRefusedError as refused:
            log.warning("composio refuses a toolkit's tools toolkit=%s code=%s", toolkit, refused.code)
            self._keep_schemas(toolkit, [])
            return []

    async def _fetch_tools(self, toolkit: str) -> list[ToolkitTool]:
        tools: list[ToolkitTool] = []
        query: dict[str, Any] = {"toolkit_slug": toolkit, "limit": 500}
        while True:
            page = await self._wire.ask("get", _TOOLS, query=query)
            tools += _tools(toolkit, page)
            cursor = page.get("next_cursor")
            if not cursor or cursor == query.get("cursor") or len(tools) > MOST_TOOLS:
                break
            query["cursor"] = cursor
        self._keep_schemas(toolkit, tools)
        return tools

    def waits_for(self, toolkit: str, away: VendorUnavailable) -> bool:
        """Whether the toolkit's tools may be available in a moment. Otherwise a turn continues without them."""
        first, _ = self._failing.get(toolkit, (self._clock(), 0.0))
        return away.problem not in ALERTS and self._clock() - first <= MOST_WAIT_SECONDS

    def _keep_schemas(self, toolkit: str, tools: list[ToolkitTool]) -> None:
        self._failing.pop(toolkit, None)
        seconds = self._schema_seconds if tools else min(self._schema_seconds, EMPTY_SECONDS)
        self._schemas[toolkit] = (self._clock() + seconds, tools)

    # --- accounts -----------------------------------------------------------------------------------------------

    async def link(self, session_id: str, toolkit: str, callback_url: str | None = None) -> ConnectLink:
        """A new account that waits for its person's consent, and the address where they give it."""
        body = {"toolkit": toolkit} | ({"callback_url": callback_url} if callback_url else {})
        now = self._clock()
        made = await self._wire.ask("post", f"{_SESSIONS}/{session_id}/link", body=body)
        url = _text(made, "redirect_url")
        if not url.startswith(("https://", "http://")):
            raise VendorUnavailable("tools_unavailable")
        return ConnectLink(url, _text(made, "connected_account_id"), now + LINK_SECONDS)

    async def account(self, account_id: str) -> Account | None:
        """The account at Composio; None: it is not there, or no longer."""
        try:
            found = await self._wire.ask("get", f"{_ACCOUNTS}/{account_id}")
        except ComposioRefusedError as refused:
            if refused.status in _GONE:
                return None
            log.warning("composio refuses to describe an account code=%s", refused.code)
            raise VendorUnavailable("tools_unavailable") from None
        return Account(_text(found, "status"), _text(found, "user_id"))

    async def complete_auth(self, person_id: str, session_uri: str) -> str:
        """Make the account active whose consent waits for the project's verifier. Return the account's id.

        A `session_uri` is valid once, and only for the person for whom the link was made. ComposioRefusedError: any 4xx
        is final, with any slug, except a rate limit.
        """
        body = {"user_id": person_id, "session_uri": session_uri}
        done = await self._wire.ask("post", f"{_ACCOUNTS}/complete_auth", body=body, is_answer=True)
        return _text(done, "connected_account_id")

    async def delete_account(self, account_id: str) -> None:
        """Remove it, if it is still there."""
        try:
            await self._wire.ask("delete", f"{_ACCOUNTS}/{account_id}")
        except ComposioRefusedError as refused:
            if refused.status not in _GONE:
                raise

    # --- execution ----------------------------------------------------------------------------------------------

    async def execute(self, session_id: str, tool: str, arguments: dict[str, Any], account_id: str) -> ToolResult:
        """Run a tool once. SessionGoneError, VendorUnavailable: nothing was done; any other failure is a result."""
        body = {"tool_slug": tool, "arguments": arguments, "account": account_id}
        try:
            done = await self._wire.send(
                "post",
                f"{_SESSIONS}/{session_id}/execute",
                body=body,
                timeout=self._execute_timeout,
                admitted=self._before_effect,
            )
        except ComposioRefusedError as refused:
            return ToolResult(refused.explanation or f"The tool refused: {refused.code}.", ok=False)
        except MaybeDoneError:
            log.warning("tool outcome unknown tool=%s", tool)
            return ToolResult(OUTCOME_UNKNOWN, ok=False, own=True)
        return _result(done)


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise VendorUnavailable("tools_unavailable")
    return value


def _dicts(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = answer.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise VendorUnavailable("tools_unavailable")
    return items


def _tools(toolkit: str, page: dict[str, Any]) -> list[ToolkitTool]:
    """The tools that can be called; an invalid description does not affect the others."""
    items = page.get("items")
    if not isinstance(items, list):
        raise VendorUnavailable("tools_unavailable")
    tools = [_tool(toolkit, item) for item in items if isinstance(item, dict) and isinstance(item.get("slug"), str)]
    tools = [tool for tool in tools if tool.slug]
    if items and not tools:
        raise VendorUnavailable("tools_unavailable")
    if len(tools) < len(items):
        log.warning("composio describes no tool toolkit=%s times=%d", toolkit, len(items) - len(tools))
    return tools


def _tool(toolkit: str, item: dict[str, Any]) -> ToolkitTool:
    slug = item["slug"]
    name = tool_schemas.model_name(slug)
    schema = ToolSchema(
        name,
        tool_schemas.description(item.get("description")),
        tool_schemas.parameters(item.get("input_parameters"), name),
        _title(item),
    )
    tags = item.get("tags")
    said = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return ToolkitTool(slug, schema, hints_of(toolkit, slug, said))


def _title(item: dict[str, Any]) -> str:
    """As "Google Calendar: Create event"."""
    toolkit = item.get("toolkit")
    parts = (toolkit.get("name") if isinstance(toolkit, dict) else ""), item.get("name")
    return ": ".join(part for part in parts if isinstance(part, str) and part)[:MOST_TITLE]


def _result(done: dict[str, Any]) -> ToolResult:
    failure, kind = done.get("error"), done.get("result_type", "completed")
    if kind in ("input_required", "blocked"):
        sentence = "The tool asks for a confirmation that cannot be given here; nothing was done."
        return ToolResult(sentence, ok=False, own=True)
    if failure or kind == "failed":
        return ToolResult(_shown({"error": failure, "data": done.get("data")}), ok=False)
    if "data" not in done or kind != "completed":
        return ToolResult(OUTCOME_UNKNOWN, ok=False, own=True)
    return ToolResult(_shown(done["data"]))


def _shown(data: Any) -> str:
    return to_json(data).decode()
