"""A person's tools in a turn: the developer's, our own, and those of their toolkits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.tools import OUTCOME_UNKNOWN, NeedsNoAccount, PlainArguments, Toolbox, ToolResult
from kernel_service.storable import to_json
from kernel_service.tool_schemas import MOST_OFFERED_BYTES, size_of
from kernel_service.tools import triggers
from kernel_service.tools.accounts import (
    AskWhichError,
    choose,
    ended_by_vendor,
    id_of_chosen,
    no_longer_connected,
    with_names,
)
from kernel_service.tools.connecting import ConnectTool, DisconnectTool
from kernel_service.tools.triggers import CreateTriggerTool, DeleteTriggerTool
from kernel_service.turns.context.found_tools import FOUND
from kernel_service.turns.context.taint import is_of_just_created

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.composio.client import Composio, ToolkitTool
    from kernel_service.composio.sessions import Sessions
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.links import ConnectLinks
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.triggers.triggers import Triggers

    Accounts = Mapping[str, Sequence[Connection]]

MOST_DIRECT: Final = 30
"""Up to this many tools of connected toolkits are offered at once, if a request holds them; else they are found."""
MOST_FOUND: Final = 10
TOOL_SECONDS: Final = 75.0
"""Longer than the client's own timeout of an execution, so that its error comes first."""


class KernelToolbox(Toolbox):
    """The toolbox of all people. It offers each person their own tools."""

    def __init__(
        self,
        composio: Composio,
        connections: Connections,
        connect_links: ConnectLinks,
        developer_tools: Sequence[Tool] = (),
        own_tools: Sequence[Tool] = (),
        *,
        triggers: Triggers | None = None,
        most_direct: int = MOST_DIRECT,
    ) -> None:
        """`triggers`: None if the vendor's events cannot reach this service."""
        self._composio = composio
        self._connections = connections
        self._connect_links = connect_links
        self._developer_tools = tuple(developer_tools)
        self._own_tools = tuple(own_tools)
        self._triggers = triggers
        self._most_direct = most_direct
        self._always = self._that_need_no_account()

    async def tools_for(
        self, person: Person, connections: Sequence[Connection] | None = None, found: Sequence[str] = ()
    ) -> list[Tool]:
        if connections is None:
            connections = await self._connections.list(person.id)
        if not connections:
            return self._always.copy()
        accounts = self._usable(connections)
        connected, away = await self._of_toolkits(accounts)
        tools = [*self._that_need_no_account(away), *await self._watching(accounts)]
        if not connected:
            return tools
        every = [*tools, *connected]
        if len(connected) <= self._most_direct and size_of(each.schema for each in every) <= MOST_OFFERED_BYTES:
            return every
        by_name = {tool.schema.name: tool for tool in connected}
        again = [by_name[name] for name in found if name in by_name]
        return [*tools, SearchTools(self._composio, self._connections.sessions, connected), *again]

    async def named(self, person: Person, name: str) -> Tool | None:
        accounts = self._usable(await self._connections.list(person.id))
        connected, away = await self._of_toolkits(accounts)
        ours = [*self._that_need_no_account(away), *(await self._watching(accounts) if name in triggers.NAMES else ())]
        found = next((tool for tool in (*ours, *connected) if tool.schema.name == name), None)
        toolkit = next((each for each in away if name.startswith(_prefix(each))), None)
        return AwayTool(self._connections, toolkit, name) if found is None and toolkit else found

    async def readers(self, person: Person, name: str) -> Sequence[Tool]:
        if any(tool.schema.name == name for tool in self._developer_tools):
            return [tool for tool in self._developer_tools if tool.read_only]
        connected, _ = await self._of_toolkits(self._usable(await self._connections.list(person.id)))
        toolkit = next((tool.toolkit for tool in connected if tool.schema.name == name), "")
        return [tool for tool in connected if tool.toolkit == toolkit and tool.read_only]

    def _that_need_no_account(self, away: Sequence[str] = ()) -> list[Tool]:
        """The tools that all people have. `away` as in ConnectTool."""
        return [
            *self._developer_tools,
            ConnectTool(self._connections, self._connect_links, away),
            DisconnectTool(self._connections),
            *self._own_tools,
        ]

    async def _watching(self, accounts: Accounts) -> list[Tool]:
        """The tools for news in the person's accounts, if any of them can be watched."""
        if self._triggers is None or not accounts:
            return []
        kinds = await self._triggers.types_of(sorted(accounts))
        if not kinds:
            return []
        return [
            CreateTriggerTool(self._triggers, self._connections, kinds, accounts),
            DeleteTriggerTool(self._triggers),
        ]

    def _usable(self, connections: Sequence[Connection]) -> Accounts:
        """A person's accounts that may be used, by toolkit."""
        accounts: dict[str, list[Connection]] = {}
        for connection in connections:
            if connection.status is ConnectionStatus.ACTIVE and self._connections.allows(connection.toolkit):
                accounts.setdefault(connection.toolkit, []).append(connection)
        return accounts

    async def _of_toolkits(self, accounts: Accounts) -> tuple[list[ConnectedTool], list[str]]:
        """The tools of the person's toolkits, and the toolkits whose tools are unavailable."""
        toolkits = sorted(accounts)
        described = await asyncio.gather(*map(self._tools_of, toolkits))
        away = [toolkit for toolkit, tools in zip(toolkits, described, strict=True) if tools is None]
        # The model's vendor refuses a whole request for a name that comes twice; ours come first.
        ours = triggers.NAMES | {tool.schema.name for tool in self._always}
        named = {tool.schema.name: tool for tools in reversed(described) for tool in reversed(tools or ())}
        return [
            ConnectedTool(self._composio, self._connections, tool, accounts[tool.toolkit])
            for tools in described
            for tool in tools or ()
            if named[tool.schema.name] is tool and tool.schema.name not in ours
        ], away

    async def _tools_of(self, toolkit: str) -> list[ToolkitTool] | None:
        """None: they are unavailable, and the turn does not wait. VendorUnavailable: they may be available soon."""
        try:
            return await self._composio.tools_of(toolkit)
        except Busy:
            raise
        except VendorUnavailable as unavailable:
            if self._composio.waits_for(toolkit, unavailable):
                raise
            return None


class ConnectedTool(PlainArguments):
    """A tool of a toolkit, run with the account that our store has confirmed for the person who calls."""

    def __init__(
        self, composio: Composio, connections: Connections, described: ToolkitTool, accounts: Sequence[Connection]
    ) -> None:
        self.schema = with_names(described.schema, accounts)
        self.read_only = described.read_only
        self.asks_first: bool | None = None
        self.hints = described.hints
        self.timeout = TOOL_SECONDS
        self.slug = described.slug
        self.toolkit = described.toolkit
        self._composio = composio
        self._connections = connections

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:
        accounts = await self._connections.active(person.id, self.toolkit)
        return id_of_chosen(accounts, arguments)

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        accounts = await self._connections.active(person.id, self.toolkit)
        if not accounts:
            return ToolResult(f"{self.toolkit} is not connected. Call connect with it.", ok=False, own=True)
        try:
            account, own = choose(accounts, arguments)
        except AskWhichError as several:
            return ToolResult(several.sentence, ok=False, own=True)
        result = await self._connections.sessions.using(
            account.holder,
            lambda session: self._composio.execute(session, self.slug, own, account.account_id),
        )
        if not result.ok:
            # One whose outcome is unknown is not about the account.
            is_over = result.output != OUTCOME_UNKNOWN and await ended_by_vendor(self._connections, account)
            told = f"{result.output}\n{no_longer_connected(self.toolkit)}"
            return replace(result, output=told) if is_over else result
        created = not self.read_only and is_of_just_created(self.slug, own, result.output)
        return replace(result, own=result.own or created)


class AwayTool(PlainArguments):
    """A tool that the person has. It is unknown while its vendor is unavailable."""

    read_only = False
    asks_first = True
    hints = None
    timeout = TOOL_SECONDS

    def __init__(self, connections: Connections, toolkit: str, name: str) -> None:
        self.schema = ToolSchema(name, "Unavailable right now.", {"type": "object", "properties": {}})
        self._connections = connections
        self._toolkit = toolkit

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:
        return id_of_chosen(await self._connections.active(person.id, self._toolkit), arguments)

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:  # noqa: ARG002
        raise VendorUnavailable("tools_unavailable")


def _prefix(toolkit: str) -> str:
    """The prefix of the names of a toolkit's tools."""
    return f"{toolkit.upper()}_"


class SearchTools(NeedsNoAccount):
    """Finds tools among those of the person's connected toolkits, and adds them to the turn."""

    read_only = True
    asks_first = False
    timeout = 45.0
    schema = ToolSchema(
        "search_tools",
        "Find tools of the person's connected accounts for a task. You can then call what is found.",
        {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "The task, in a few English words."}},
            "required": ["query"],
        },
    )

    def __init__(self, composio: Composio, sessions: Sessions, connected: Sequence[ConnectedTool]) -> None:
        self._composio = composio
        self._sessions = sessions
        self._connected = {tool.slug: tool for tool in connected}

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        query = arguments.get("query")
        if not isinstance(query, str) or not query.strip():
            return ToolResult("Give the query as text.", ok=False, own=True)
        slugs = await self._sessions.using(person.id, lambda session: self._composio.search(session, query))
        found = tuple(self._connected[slug] for slug in slugs if slug in self._connected)[:MOST_FOUND]
        told = [{"name": tool.schema.name, "description": tool.schema.description} for tool in found]
        # The descriptions of tools are in every request, so a result that has them does not taint the turn.
        return ToolResult(to_json({FOUND: told}).decode(), found=found, own=True)
