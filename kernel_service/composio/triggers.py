"""The requests to Composio about triggers: the kinds of a toolkit's events, and the triggers that exist.

Source of the shapes: composio-client 2.0.0rc19, `types/triggers_type_*` and `types/trigger_instance_*`; "Create or
update a trigger" of Composio's API 3.1: a trigger with the same settings is not created twice.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from kernel_service import tool_schemas
from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.composio.wire import Wire

log = logging.getLogger(__name__)

MOST_TYPES: Final = 200
"""Of a toolkit."""
MOST_WAIT_SECONDS: Final = 2.0
"""How long a turn waits for a toolkit's trigger types."""
PAUSE_SECONDS: Final = 60.0
"""How long a toolkit whose trigger types are unavailable is not asked for again."""
MOST_PAGES: Final = 20

_TYPES: Final = "/api/v3.1/triggers_types"
_INSTANCES: Final = "/api/v3.1/trigger_instances"
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class TriggerType:
    """A kind of event. `config` is the JSON Schema of its settings. `polled`: events come some minutes late."""

    slug: str
    toolkit: str
    name: str
    description: str
    config: dict[str, Any] = field(repr=False)
    polled: bool


class ComposioTriggers:
    """`admitted` is called directly before a request that changes something. It raises Busy if that must not happen."""

    def __init__(
        self, wire: Wire, *, type_seconds: float, clock: Callable[[], float], admitted: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._type_seconds = type_seconds
        self._clock = clock
        self._admitted = admitted
        self._flights = SingleFlight()
        self._types: dict[str, tuple[float, list[TriggerType]]] = {}

    async def types_of(self, toolkit: str) -> list[TriggerType]:
        """The kinds of events that need no set-up by a developer, kept for `type_seconds`. Empty: they are unknown."""
        kept_until, kept = self._types.get(toolkit, (0.0, []))
        if self._clock() < kept_until:
            return kept
        try:
            async with asyncio.timeout(MOST_WAIT_SECONDS):
                return await self._flights.run(toolkit, lambda: self._fetched(toolkit, kept))
        except TimeoutError:
            return kept

    async def _fetched(self, toolkit: str, earlier: list[TriggerType]) -> list[TriggerType]:
        try:
            answer = await self._wire.ask("get", _TYPES, query={"toolkit_slugs": toolkit, "limit": MOST_TYPES})
            types, seconds = _types(toolkit, answer), self._type_seconds
        except (VendorUnavailable, ComposioRefusedError) as problem:
            if isinstance(problem, Busy):
                return earlier
            log.warning("trigger types unavailable toolkit=%s problem=%s", toolkit, problem)
            types, seconds = earlier, PAUSE_SECONDS
        self._types[toolkit] = (self._clock() + seconds, types)
        return types

    async def upsert(self, slug: str, account_id: str, holder: str, config: dict[str, Any]) -> str:
        """Create the trigger with these settings, if it does not exist. Return its id.

        ComposioRefusedError, VendorUnavailable: it was not created. UnansweredError: it may have been created.
        """
        body = {"connected_account_id": account_id, "user_id": holder, "trigger_config": config}
        path = f"{_INSTANCES}/{quote(slug, safe='')}/upsert"
        made = await self._wire.ask("post", path, body=body, admitted=self._admitted)
        trigger_id = made.get("trigger_id")
        if not isinstance(trigger_id, str) or not trigger_id:
            raise VendorUnavailable("tools_unavailable")
        return trigger_id

    async def delete(self, trigger_id: str) -> None:
        """Remove it, if it is still there. ComposioRefusedError, VendorUnavailable."""
        try:
            await self._wire.ask("delete", f"{_INSTANCES}/manage/{quote(trigger_id, safe='')}")
        except ComposioRefusedError as refused:
            if refused.status not in _GONE:
                raise

    async def at_account(self, account_id: str) -> list[str]:
        """The ids of all triggers of this account. ComposioRefusedError, VendorUnavailable."""
        query: dict[str, Any] = {"connected_account_ids": account_id, "show_disabled": "true", "limit": MOST_TYPES}
        found: list[str] = []
        for _ in range(MOST_PAGES):
            page = await self._wire.ask("get", f"{_INSTANCES}/active", query=query)
            items = page.get("items")
            if not isinstance(items, list):
                raise VendorUnavailable("tools_unavailable")
            found += [each["id"] for each in items if _is_of(each, account_id)]
            cursor = page.get("next_cursor")
            if not cursor or cursor == query.get("cursor"):
                break
            query["cursor"] = cursor
        return found


def _is_of(item: Any, account_id: str) -> bool:
    """Whether the item is this account's. If the vendor ignored the filter, it would list those of all accounts."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    return account_id in (item.get("connected_account_id"), item.get("connectedAccountId"))


def _types(toolkit: str, answer: dict[str, Any]) -> list[TriggerType]:
    items = answer.get("items")
    if not isinstance(items, list):
        raise VendorUnavailable("tools_unavailable")
    types = [_type(toolkit, item) for item in items if isinstance(item, dict)]
    return [each for each in types if each is not None]


def _type(toolkit: str, item: dict[str, Any]) -> TriggerType | None:
    slug, name, config = item.get("slug"), item.get("name"), item.get("config")
    its = item.get("toolkit")
    is_other = isinstance(its, dict) and its.get("slug") != toolkit
    if not isinstance(slug, str) or not slug or is_other or item.get("requires_webhook_endpoint_setup") is True:
        return None
    return TriggerType(
        slug,
        toolkit,
        name if isinstance(name, str) and name else slug,
        tool_schemas.description(item.get("description")),
        config if isinstance(config, dict) else {},
        item.get("type") == "poll",
    )
