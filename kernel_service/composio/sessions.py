"""A person's session at Composio: created at first need, kept in our store, replaced when it no longer works."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from kernel_service.composio.client import configuration_of
from kernel_service.composio.wire import ComposioRefusedError, SessionGoneError
from kernel_service.errors import VendorUnavailable
from kernel_service.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from kernel_service.composio.client import Composio
    from kernel_service.ports.connections import SessionStore

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Sessions:
    """Sessions of all people. `toolkits` are the allowed ones, empty: all."""

    def __init__(self, composio: Composio, store: SessionStore, toolkits: Sequence[str] = ()) -> None:
        self._composio = composio
        self._store = store
        self._offered = tuple(toolkits)
        """Without those that Composio refused as unknown, until this process ends."""
        self._configuration = configuration_of(self._offered)
        self._flights = SingleFlight()

    async def of(self, person_id: str) -> str:
        """The person's session id. VendorUnavailable: it could not be created."""
        return await self._flights.run(person_id, lambda: self._kept_or_made(person_id))

    async def using(self, person_id: str, do: Callable[[str], Coroutine[Any, Any, Result]]) -> Result:
        """Do something in the person's session, and once more in a new one if Composio no longer has the old one."""
        session_id = await self.of(person_id)
        try:
            return await do(session_id)
        except SessionGoneError:
            log.warning("composio forgot a session person=%s", person_id)
        try:
            return await do(await self._flights.run(person_id, lambda: self._renewed(person_id, session_id)))
        except SessionGoneError:
            raise VendorUnavailable("tools_unavailable") from None

    async def _kept_or_made(self, person_id: str) -> str:
        kept = await self._store.of_person(person_id)
        # A renewed session's configuration ends with its generation.
        if kept is not None and kept[1].partition("+")[0] == self._configuration:
            return kept[0]
        return await self._made(person_id, self._configuration)

    async def _renewed(self, person_id: str, gone: str) -> str:
        kept = await self._store.of_person(person_id)
        if kept is not None and kept[0] != gone:
            return kept[0]
        generation = int(kept[1].partition("+")[2] or 0) + 1 if kept is not None else 1
        return await self._made(person_id, f"{self._configuration}+{generation}")

    async def _made(self, person_id: str, configuration: str) -> str:
        try:
            session_id = await self._composio.create_session(person_id, self._offered)
        except ComposioRefusedError as refused:
            session_id = await self._made_without_unknown(person_id, refused)
        return await self._store.keep(person_id, session_id, configuration)

    async def _made_without_unknown(self, person_id: str, refused: ComposioRefusedError) -> str:
        """A toolkit that Composio no longer has is left out; the others stay."""
        unknown = await self._composio.unknown(self._offered)
        known = tuple(slug for slug in self._offered if slug not in unknown)
        named = ", ".join(unknown) or "all of them"
        log.error("alert: Composio refuses KERNEL_TOOLKITS code=%s; remove from it: %s", refused.code, named)
        if not unknown or not known:  # a session without any would allow all
            raise VendorUnavailable("tools_refuse_settings") from None
        try:
            session_id = await self._composio.create_session(person_id, known)
        except ComposioRefusedError:
            raise VendorUnavailable("tools_refuse_settings") from None
        self._offered = known
        return session_id
