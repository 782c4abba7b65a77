"""The tools with which the model lets a person connect an account, and removes one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kernel_service.errors import NotAllowed, NotFound, VendorUnavailable
from kernel_service.ports.connect_attempts import AWAITING_CODE, LIVE, ConnectAttemptState
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.tools import WHICH_ACCOUNT, NeedsNoAccount, PlainArguments, ToolResult
from kernel_service.tools.accounts import AskWhichError, choose, id_of_chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.links import ConnectLinks, LinkInProgress
    from kernel_service.ports.tools import Person

MOST_NAME: Final = 40
_NO_NAME: Final = re.compile(r"[^\w .&'’-]")
"""Characters that no account's name holds. The model sees the names with every request, and may have been told one."""
NAME: Final = "account_name"
NEW: Final = "new_link"
MOST_REMAINING: Final = 4000
"""Characters of what is to be done once a toolkit is connected."""


class ConnectTool(NeedsNoAccount):
    """Offers the person a link, whose address never reaches the model, and parks what waits for it."""

    read_only = True  # the same link is given again; replacing one that was never seen does no harm
    asks_first = False
    timeout = 60.0

    def __init__(self, connections: Connections, connect_links: ConnectLinks, away: Sequence[str] = ()) -> None:
        """`away` are toolkits that the person has connected, and whose tools are unavailable right now."""
        self._connections = connections
        self._connect_links = connect_links
        self.schema = _connect_schema(tuple(connections.toolkits), tuple(away))

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        toolkit = arguments.get("toolkit")
        if not isinstance(toolkit, str):
            return _told('Give the toolkit as text, for example {"toolkit": "asana"}.', ok=False)
        name = _NO_NAME.sub("", str(arguments.get(NAME) or "")).strip()[:MOST_NAME]
        if not name and await self._connections.still_connected(person.id, toolkit):
            return _told(f"{toolkit} is connected already.")
        reusable = () if arguments.get(NEW) is True else LIVE
        try:
            offer = await self._connect_links.link(person, toolkit, name, reusable=reusable)
        except (NotAllowed, NotFound) as refused:
            return _told(f"{toolkit} cannot be connected: {refused.sentence}.", ok=False)
        remaining = arguments.get("remaining")
        nothing = isinstance(remaining, str) and not remaining.strip()
        words = remaining.strip()[:MOST_REMAINING] if isinstance(remaining, str) else ""
        parked = None if nothing else ParkedRequest(toolkit.strip().lower(), words)
        return ToolResult(_what_is_left(offer), link=offer.link, parked=parked, own=True)


class DisconnectTool(PlainArguments):
    """Removes the person's accounts of a toolkit, here and at the vendor."""

    read_only = False
    asks_first = True
    hints = None
    timeout = 60.0
    schema = ToolSchema(
        "disconnect",
        "Remove the person's connected account of a toolkit, if they ask for that.",
        {
            "type": "object",
            "properties": {
                "toolkit": {"type": "string", "description": "The toolkit's short name, such as asana."},
                WHICH_ACCOUNT: {"type": "string", "description": "Which account, if the person has several."},
            },
            "required": ["toolkit"],
        },
    )

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:
        toolkit = str(arguments.get("toolkit") or "").strip().lower()
        return id_of_chosen(await self._connections.active(person.id, toolkit), arguments)

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        toolkit = arguments.get("toolkit")
        if not isinstance(toolkit, str) or not toolkit.strip():
            return _told('Give the toolkit as text, for example {"toolkit": "asana"}.', ok=False)
        accounts = await self._connections.active(person.id, toolkit.strip().lower())
        if not accounts:
            return _told(f"{toolkit} is not connected.", ok=False)
        try:
            account, _ = choose(accounts, arguments)
            await self._connections.disconnect(person.id, connection_id=account.id)
        except AskWhichError as several:
            return _told(several.sentence, ok=False)
        except VendorUnavailable:
            return _told(f"{toolkit} is disconnected here; its account will be removed at the vendor soon.")
        return _told(f"{toolkit} is disconnected.")


def _told(sentence: str, *, ok: bool = True) -> ToolResult:
    return ToolResult(sentence, ok=ok, own=True)


def _what_is_left(offer: LinkInProgress) -> str:
    """The steps that only the person can take now, for the model to tell them."""
    button = f"A button “{offer.link.title}” goes to the person with your answer."
    if offer.state is ConnectAttemptState.OPEN:
        return f"{button} The remaining work continues once they have used it."
    if offer.state in AWAITING_CODE:
        return (
            "The person has already given consent; only the code that the page showed is missing. Ask them to send it "
            f"here. {button} It shows the page again, but only in the browser where they gave consent. The remaining "
            "work continues once the code has come."
        )
    return (
        "The person has already started to connect it and can continue in the browser where they started. "
        f"{button} It leads there too, but only in that browser. The remaining work continues once they have sent the "
        "code that the page shows at the end."
    )


_REMAINING: Final = {
    "type": "string",
    "description": "The task for this account once it is connected, with every detail, so that you need not ask "
    "again. Empty if the person only wants to connect it.",
}


_FURTHER: Final = {
    "type": "string",
    "description": "Only if the person wants another account of a toolkit that is already connected: what they call "
    "it, such as work or private.",
}

_NEW: Final = {
    "type": "boolean",
    "description": "True only if the person says that their link or code is lost or does not work, or asks for a new "
    "link. It ends what they started with the old one.",
}


@lru_cache(maxsize=256)
def _connect_schema(toolkits: tuple[str, ...], away: tuple[str, ...]) -> ToolSchema:
    toolkit: dict[str, Any] = {"type": "string", "description": "The toolkit's short name, such as asana or gmail."}
    offered = ""
    if toolkits:
        toolkit["enum"] = list(toolkits)
        offered = f" These can be connected: {', '.join(toolkits)}."
    if away:
        offered += f" Connected, but unavailable right now: {', '.join(away)}. Say so if one is needed."
    return ToolSchema(
        "connect",
        "Let the person connect an account that a request needs. Your answer gets a button for it; what remains to be "
        "done continues by itself afterwards." + offered,
        {
            "type": "object",
            "properties": {"toolkit": toolkit, "remaining": _REMAINING, NAME: _FURTHER, NEW: _NEW},
            "required": ["toolkit", "remaining"],
        },
    )
