"""The tools with which the model tells the vendor to watch a person's accounts for news, and to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.composio.wire import ComposioRefusedError, UnansweredError
from kernel_service.errors import Conflict, Exhausted, NotFound
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.tools import OUTCOME_UNKNOWN, WHICH_ACCOUNT, NeedsNoAccount, PlainArguments, ToolResult
from kernel_service.storable import to_json
from kernel_service.token_counts import cut
from kernel_service.tools.accounts import (
    AskWhichError,
    choose,
    ended_by_vendor,
    id_of_chosen,
    named,
    no_longer_connected,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.composio.triggers import TriggerType
    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.tools import Person
    from kernel_service.triggers.triggers import Triggers

CREATE: Final = "create_trigger"
DELETE: Final = "delete_trigger"
NAMES: Final = frozenset({CREATE, DELETE})

MOST_REQUEST: Final = 1000
"""Characters of what is to be done with each event."""
MOST_CONFIG_BYTES: Final = 4000
MOST_KINDS: Final = 60
"""Kinds of events in the tool's description. Others exist, but are not listed."""
_LATE: Final = " The vendor looks about every 15 minutes, so news may come that late: say so."
_KIND_TOKENS: Final = 60
_SETTINGS_TOKENS: Final = 400
_ALL_SETTINGS_TOKENS: Final = 1500
"""Settings that do not fit are told when a call lacks them."""


class CreateTriggerTool(PlainArguments):
    """Lets the vendor watch an account. `kinds`: what the person's accounts, by toolkit, can be watched for."""

    read_only = False
    asks_first = False  # unless the model sees other people's words, which must not create a trigger
    hints = None
    timeout = 60.0

    def __init__(
        self,
        triggers: Triggers,
        connections: Connections,
        kinds: Sequence[TriggerType],
        accounts: Mapping[str, Sequence[Connection]],
    ) -> None:
        self._triggers = triggers
        self._connections = connections
        self._kinds = {kind.slug: kind for kind in kinds}
        self._accounts = accounts
        self.schema = _create_schema(kinds, accounts)

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:  # noqa: ARG002
        kind = self._kind(arguments)
        return id_of_chosen(self._accounts[kind.toolkit], arguments) if kind else ""

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        kind, config = self._kind(arguments), arguments.get("config", {})
        request = str(arguments.get("request") or "").strip()
        if kind is None:
            return _told(f"There is no such trigger. There are: {', '.join(self._kinds)}.", ok=False)
        if not isinstance(config, dict) or len(to_json(config)) > MOST_CONFIG_BYTES:
            return _told(f"Give config as a short object. {_settings(kind)}", ok=False)
        if not 0 < len(request) <= MOST_REQUEST:
            return _told(f"Say in the request what the person wants, in at most {MOST_REQUEST} characters.", ok=False)
        return await self._created(person, kind, config, request, arguments)

    async def _created(
        self, person: Person, kind: TriggerType, config: dict[str, Any], request: str, arguments: dict[str, Any]
    ) -> ToolResult:
        try:
            account, _ = choose(self._accounts[kind.toolkit], arguments)
        except AskWhichError as several:
            return _told(several.sentence, ok=False)
        try:
            created = await self._triggers.create(person, account, kind, config, request)
        except ComposioRefusedError as refused:
            return _told(f"Not set. {await self._reason(refused, kind, account)}", ok=False)
        except UnansweredError:
            return _told(OUTCOME_UNKNOWN, ok=False)
        except (Conflict, Exhausted, NotFound) as refused:
            return _told(f"Not set: {refused.sentence}.", ok=False)
        asked = created.trigger.asked
        stated = f"{created.trigger.id}: “{asked.request}”."
        if not created.is_new:
            told = f"It is set already, as {stated} To change it, delete it first."
            return ToolResult(told, own=not asked.tainted)
        told = f"Set, as {stated}{_LATE if kind.polled else ''}"
        return ToolResult(told, own=True, confirmed=texts.triggers.watched(asked.account, asked.request))

    async def _reason(self, refused: ComposioRefusedError, kind: TriggerType, account: Connection) -> str:
        if await ended_by_vendor(self._connections, account):
            return no_longer_connected(kind.toolkit)
        return f"{refused.explanation or refused.code}\n{_settings(kind)}"

    def _kind(self, arguments: Mapping[str, Any]) -> TriggerType | None:
        return self._kinds.get(str(arguments.get("trigger") or "").strip().upper())


class DeleteTriggerTool(NeedsNoAccount):
    """Ends one of the person's triggers."""

    read_only = False
    asks_first = False
    timeout = 30.0
    schema = ToolSchema(
        DELETE,
        "Stop to watch an account for news, if the person asks for that. Without an id, or with one that is not "
        "theirs, nothing is done, and all of theirs are listed.",
        {"type": "object", "properties": {"id": {"type": "string", "description": "As tg_01…"}}, "required": ["id"]},
    )

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        trigger_id = str(arguments.get("id") or "").strip()
        if await self._triggers.delete(person.id, trigger_id):
            return _told(f"{trigger_id} is deleted. The person is no longer told of it.")
        theirs = await self._triggers.of_person(person.id)
        listed = to_json([[each.id, each.asked.account, each.asked.request] for each in theirs]).decode()
        told = f"Nothing is deleted: there is no such id. They have: {listed}"
        return ToolResult(told, ok=False, own=not any(each.asked.tainted for each in theirs))

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:
        """The request of the trigger."""
        wanted = str(arguments.get("id") or "").strip()
        return {each.id: each.asked.request for each in await self._triggers.of_person(person.id) if each.id == wanted}


def _told(sentence: str, *, ok: bool = True) -> ToolResult:
    return ToolResult(sentence, ok=ok, own=True)


def _settings(kind: TriggerType) -> str:
    return f"The settings of {kind.slug}: {cut(to_json(kind.config).decode(), _SETTINGS_TOKENS, ' … ')}"


def _create_schema(kinds: Sequence[TriggerType], accounts: Mapping[str, Sequence[Connection]]) -> ToolSchema:
    several = [each for toolkit in sorted(accounts) if len(accounts[toolkit]) > 1 for each in named(accounts[toolkit])]
    properties: dict[str, Any] = {
        "trigger": {"type": "string", "enum": [kind.slug for kind in kinds], "description": "The kind of news."},
        "config": {
            "type": "object",
            "description": "Its settings. Narrow it to what the person wants, as by a search: each event costs them.",
        },
        "request": {
            "type": "string",
            "description": "The task for each event: all that the person wants to be told, in their words and with "
            "every detail, since you see only this and the event then.",
        },
    }
    if several:
        described = "Which of the person's accounts is meant, if they have several."
        properties[WHICH_ACCOUNT] = {"type": "string", "enum": list(dict.fromkeys(several)), "description": described}
    return ToolSchema(
        CREATE,
        "Watch one of the person's accounts for news, and be called with each: for requests such as “tell me when a "
        f"mail from the bank arrives”. Say in plain words what is set. These can be watched for:\n{_listed(kinds)}",
        {"type": "object", "properties": properties, "required": ["trigger", "config", "request"]},
    )


def _listed(kinds: Sequence[TriggerType]) -> str:
    room, lines = _ALL_SETTINGS_TOKENS, []
    for kind in kinds[:MOST_KINDS]:
        settings = to_json(kind.config.get("properties", {})).decode()
        shown = f" Settings: {cut(settings, _SETTINGS_TOKENS, ' … ')}" if len(settings) // 3 <= room else ""
        room -= len(shown) // 3
        lines.append(f"{kind.slug}: {cut(kind.description or kind.name, _KIND_TOKENS, ' … ')}{shown}")
    return "\n".join(lines)
