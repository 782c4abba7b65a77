"""Composio's events: an account has expired, or something happened in one that is watched.

Signature, its headers and the event's shape: composio 0.29.0, `core/models/triggers.py`, `webhook_events.py`. Its own
`verify_webhook` needs a synchronous client with telemetry, and 150 MiB for its import.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.ports.messages import Notice, Reply
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connections import Connection

log = logging.getLogger(__name__)

TOLERANCE_SECONDS: Final = 300.0
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


class ComposioEvents:
    """`secret` is the project's webhook secret; without one every event is refused.

    `on_trigger(event)` handles the events of triggers; `watched_for(connection)` are the requests of its triggers.
    `route(person_id)` is the chat in which the person wrote last; `notify(channel)` says that the outbox has a notice.
    """

    def __init__(  # noqa: PLR0917 - its dependencies
        self,
        secret: str,
        connections: Connections,
        on_trigger: Callable[[dict[str, Any]], Awaitable[None]],
        watched_for: Callable[[Connection], Awaitable[Sequence[str]]],
        route: Callable[[str], Awaitable[tuple[str, str] | None]],
        notify: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret.encode()
        self._connections = connections
        self._on_trigger = on_trigger
        self._watched_for = watched_for
        self._route = route
        self._notify = notify
        self._clock = clock

    async def handle(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the event is Composio's. A repeated event does nothing. Aborted: it must be delivered again."""
        if not self._signed(headers, body):
            return False
        event = _object(body)
        match event.get("type"):
            case "composio.connected_account.expired":
                await self._expired(event.get("data"))
            case "composio.trigger.message" | "composio.trigger.disabled":
                await self._on_trigger(event)
        return True

    async def _expired(self, account: Any) -> None:
        if not isinstance(account, dict):
            return
        account_id, holder = account.get("id"), account.get("user_id")
        if not isinstance(account_id, str) or not isinstance(holder, str):
            log.warning("event of an expired account without its ids")
            return
        connection = await self._connections.in_use(account_id, holder)
        if connection is None:
            return
        notice = await self._notice(connection)
        if await self._connections.expire(connection, notice) and notice is not None:
            self._notify(notice.channel)

    async def _notice(self, connection: Connection) -> Notice | None:
        route = await self._route(connection.person_id)
        if route is None:
            return None
        lost = texts.connecting.connection_lost(connection.toolkit_name)
        ended = texts.triggers.ended(await self._watched_for(connection))
        return Notice(Reply("\n\n".join(filter(None, (lost, ended)))), *route, at=self._clock())

    def may_be_signed(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers have a signature with a recent time, so that the body is to be read."""
        message_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not self._secret or not message_id or "webhook-signature" not in headers:
            return False
        if not _TIMESTAMP.fullmatch(at):
            return False
        return abs(self._clock() - int(at)) <= TOLERANCE_SECONDS

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        if not self.may_be_signed(headers):
            return False
        message_id, at = headers["webhook-id"], headers["webhook-timestamp"]
        digest = hmac.digest(
            self._secret, f"{message_id}.{at}.".encode(errors="surrogateescape") + body, hashlib.sha256
        )
        expected = b"v1," + base64.b64encode(digest)
        given = headers.get("webhook-signature", "").encode(errors="replace").split()
        return any(hmac.compare_digest(expected, each) for each in given)


def _object(body: bytes) -> dict[str, Any]:
    try:
        event = from_json(body)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
