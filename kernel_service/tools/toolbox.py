"""A person's tools in a turn: the developer's, our own `connect` and `search_tools`, and those of his toolkits."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.errors import NotAllowed, NotFound, VendorUnavailable
from kernel_service.tools.accounts import ARGUMENT, AskWhichError, choose, with_names
from kernel_service.tools.connections import ConnectionStatus
from kernel_service.turns.model import ToolSchema
from kernel_service.turns.resuming import ParkedRequest
from kernel_service.turns.tools import Toolbox, ToolResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.connect.offering import Offers
    from kernel_service.tools.composio_client import Composio, ToolkitTool
    from kernel_service.tools.connections import Connection, Connections
    from kernel_service.tools.sessions import Sessions
    from kernel_service.turns.tools import Person, Tool

MOST_DIRECT: Final = 30
"""Up to this many tools of connected toolkits are offered at once; beyond it they are searched for."""
MOST_FOUND: Final = 10
MOST_NAME: Final = 40
NAME: Final = "account_name"
MOST_REMAINING: Final = 4000
"""Characters of what is to be done once a toolkit is connected."""
TOOL_SECONDS: Final = 75.0
"""Above what the client allows for an execution, so that its own verdict comes first."""

_MODEL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class KernelToolbox(Toolbox):
    """The toolbox of all people; what it offers is the asking person's."""

    def __init__(
        self,
        composio: Composio,
        connections: Connections,
        offers: Offers,
        developer_tools: Sequence[Tool] = (),
        *,
        most_direct: int = MOST_DIRECT,
    ) -> None:
        self._composio = composio
        self._connections = connections
        self._offers = offers
        self._developer_tools = tuple(developer_tools)
        self._most_direct = most_direct

    async def tools_for(self, person: Person) -> list[Tool]:
        tools = self._always()
        connected = await self._of_toolkits(person)
        if len(connected) <= self._most_direct:
            return tools + connected
        return [*tools, SearchTools(self._composio, self._connections.sessions, connected)]

    async def named(self, person: Person, name: str) -> Tool | None:
        tools = [*self._always(), *await self._of_toolkits(person)]
        return next((tool for tool in tools if tool.schema.name == name), None)

    def _always(self) -> list[Tool]:
        return [*self._developer_tools, Connect(self._connections, self._offers), Disconnect(self._connections)]

    async def _of_toolkits(self, person: Person) -> list[Tool]:
        allowed = self._connections.toolkits
        accounts: dict[str, list[Connection]] = {}
        for connection in await self._connections.list(person.id):
            if connection.status is ConnectionStatus.ACTIVE and (not allowed or connection.toolkit in allowed):
                accounts.setdefault(connection.toolkit, []).append(connection)
        found = await asyncio.gather(*(self._composio.tools_of(toolkit) for toolkit in sorted(accounts)))
        return [
            ConnectedTool(self._composio, self._connections, tool, accounts[tool.toolkit])
            for tools in found
            for tool in tools
            # The model's vendor refuses a whole request for one longer name.
            if _MODEL_NAME.fullmatch(tool.schema.name)
        ]


class ConnectedTool:
    """A tool of a toolkit, run with the account that our store has confirmed for the person who calls."""

    def __init__(
        self, composio: Composio, connections: Connections, described: ToolkitTool, accounts: Sequence[Connection]
    ) -> None:
        self.schema = replace(described.schema, parameters=with_names(described.schema.parameters, accounts))
        self.read_only = described.read_only
        self.asks_first = described.asks_first
        self.timeout = TOOL_SECONDS
        self._toolkit = described.toolkit
        self._composio = composio
        self._connections = connections

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        accounts = await self._connections.active(person.id, self._toolkit)
        if not accounts:
            return ToolResult(f"{self._toolkit} is not connected. Call connect with it.", ok=False)
        try:
            account, own = choose(accounts, arguments)
        except AskWhichError as several:
            return ToolResult(several.sentence, ok=False)
        return await self._connections.sessions.using(
            account.holder,
            lambda session: self._composio.execute(session, self.schema.name, own, account.account_id),
        )


class Connect:
    """Offers the person a link, whose address never reaches the model, and parks what waits for it."""

    read_only = True  # the same link is given again
    asks_first = False
    timeout = 60.0

    def __init__(self, connections: Connections, offers: Offers) -> None:
        self._connections = connections
        self._offers = offers
        self.schema = _connect_schema(connections.toolkits)

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        toolkit = arguments.get("toolkit")
        if not isinstance(toolkit, str):
            return ToolResult('Give the toolkit as text, for example {"toolkit": "asana"}.', ok=False)
        name = str(arguments.get(NAME) or "").strip()[:MOST_NAME]
        if not name and await self._connections.still_connected(person.id, toolkit):
            return ToolResult(f"{toolkit} is connected already.")
        try:
            link = await self._offers.link(person, toolkit, name)
        except (NotAllowed, NotFound) as refused:
            return ToolResult(f"{toolkit} cannot be connected: {refused.sentence}.", ok=False)
        told = f"A button “{link.title}” goes to the person with your answer. What remains goes on once he has used it."
        remaining = arguments.get("remaining")
        nothing = isinstance(remaining, str) and not remaining.strip()
        words = remaining.strip()[:MOST_REMAINING] if isinstance(remaining, str) else ""
        return ToolResult(told, link=link, parked=None if nothing else ParkedRequest(toolkit.strip().lower(), words))


class Disconnect:
    """Removes the person's accounts of a toolkit, here and at the vendor."""

    read_only = False
    asks_first = False
    timeout = 60.0
    schema = ToolSchema(
        "disconnect",
        "Remove the person's connected account of a toolkit, if he asks for that.",
        {
            "type": "object",
            "properties": {
                "toolkit": {"type": "string", "description": "The toolkit's short name, as asana."},
                ARGUMENT: {"type": "string", "description": "Which account, where the person has several of it."},
            },
            "required": ["toolkit"],
        },
    )

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        toolkit = arguments.get("toolkit")
        if not isinstance(toolkit, str) or not toolkit.strip():
            return ToolResult('Give the toolkit as text, for example {"toolkit": "asana"}.', ok=False)
        accounts = await self._connections.active(person.id, toolkit.strip().lower())
        if not accounts:
            return ToolResult(f"{toolkit} is not connected.", ok=False)
        try:
            account, _ = choose(accounts, arguments)
            await self._connections.disconnect(person.id, connection_id=account.id)
        except AskWhichError as several:
            return ToolResult(several.sentence, ok=False)
        except VendorUnavailable:
            return ToolResult(f"{toolkit} is disconnected here; its account is removed at the vendor a little later.")
        return ToolResult(f"{toolkit} is disconnected.")


class SearchTools:
    """Finds tools among those of the person's connected toolkits, and adds them to the turn."""

    read_only = True
    asks_first = False
    timeout = 45.0
    schema = ToolSchema(
        "search_tools",
        "Find tools of the person's connected accounts for a task. What is found can be called from then on.",
        {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "The task, in a few English words."}},
            "required": ["query"],
        },
    )

    def __init__(self, composio: Composio, sessions: Sessions, connected: Sequence[Tool]) -> None:
        self._composio = composio
        self._sessions = sessions
        self._connected = {tool.schema.name: tool for tool in connected}

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        query = arguments.get("query")
        if not isinstance(query, str) or not query.strip():
            return ToolResult("Give the query as text.", ok=False)
        slugs = await self._sessions.using(person.id, lambda session: self._composio.search(session, query))
        found = tuple(self._connected[slug] for slug in slugs if slug in self._connected)[:MOST_FOUND]
        told = [{"name": tool.schema.name, "description": tool.schema.description} for tool in found]
        return ToolResult(orjson.dumps({"found": told}).decode(), found=found)


_REMAINING: Final = {
    "type": "string",
    "description": "What is still to be done with this account once it is connected, with every detail, so that it can "
    "be done without asking again. Empty if the person only wants to connect it.",
}


_FURTHER: Final = {
    "type": "string",
    "description": "Only where the person wants a further account of a toolkit that is connected already: what he "
    "calls it, as work or private.",
}


def _connect_schema(toolkits: Sequence[str]) -> ToolSchema:
    toolkit: dict[str, Any] = {"type": "string", "description": "The toolkit's short name, as asana or gmail."}
    offered = ""
    if toolkits:
        toolkit["enum"] = list(toolkits)
        offered = f" These can be connected: {', '.join(toolkits)}."
    return ToolSchema(
        "connect",
        "Let the person connect an account that a request needs: a button to do so is put below your answer, and what "
        "remains to be done goes on by itself afterwards." + offered,
        {
            "type": "object",
            "properties": {"toolkit": toolkit, "remaining": _REMAINING, NAME: _FURTHER},
            "required": ["toolkit", "remaining"],
        },
    )
