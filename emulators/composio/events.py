"""Composio's events: signed POSTs to the project's webhook, repeated until they are answered with 2xx.

Source: "Webhook Events" of Composio's documentation: the headers, the signature over id, timestamp and body, an id that
stays the same over attempts while the timestamp changes.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import uuid
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import aiohttp
import orjson

from emulators.composio.accounts import Account, timestamp
from emulators.composio.triggers import Trigger
from emulators.effects import Effects

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=20)
MOST_ATTEMPTS = 8


def doubling(attempt: int) -> float:
    """Seconds until the next attempt: half a second, doubled each time, at most a minute."""
    return float(min(0.5 * 2 ** min(attempt, 7), 60))


class Events:
    """Delivers at least once and promises no order. Effects: event_delivered, event_given_up.

    Without a secret nothing is delivered: the project has no webhook. Tests may set these attributes:
    - `url`: where events go.
    - `backoff`: the seconds to wait after the n-th refusal, from 0.
    - `delay`: the seconds before a POST arrives. POSTs with different delays overtake each other.
    - `copies`: how many times each POST is sent, concurrently.
    """

    def __init__(self, url: str, secret: str, effects: Effects, clock: Callable[[], float], rng: Random) -> None:
        self.url = url
        self.secret = secret
        self.backoff: Callable[[int], float] = doubling
        self.delay: Callable[[], float] = lambda: 0.0
        self.copies = 1
        self._effects = effects
        self._clock = clock
        self._rng = rng
        self._session: aiohttp.ClientSession | None = None
        self._deliveries: set[asyncio.Task[int]] = set()

    def happened(self, trigger: Trigger, data: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """The event of a trigger. `changed` replaces fields of its metadata, for events that no vendor should send."""
        return self._event("composio.trigger.message", _metadata(trigger) | changed, data)

    def disabled(self, trigger: Trigger) -> dict[str, Any]:
        """The event that the vendor has disabled a trigger. Its fields follow those of the other events."""
        return self._event("composio.trigger.disabled", _metadata(trigger), {"reason": "auth expired"})

    def expired(self, account: Account) -> dict[str, Any]:
        """The event that an account has expired."""
        data = {"id": account.id, "user_id": account.user_id, "status": "EXPIRED", "toolkit": {"slug": account.toolkit}}
        return self._event("composio.connected_account.expired", {"project_id": "pr_1", "org_id": "ok_1"}, data)

    def deliver(self, event: dict[str, Any]) -> asyncio.Task[int]:
        """Start to deliver the event. The task ends with the last status, when it is accepted or given up."""
        delivery = asyncio.create_task(self._deliver(event))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        return delivery

    def headers(self, event_id: str, raw: bytes, attempt: int = 1) -> dict[str, str]:
        at = str(int(self._clock()))
        digest = hmac.digest(self.secret.encode(), f"{event_id}.{at}.".encode() + raw, hashlib.sha256)
        return {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            "x-composio-webhook-version": "V3",
            "x-composio-delivery-attempt": str(attempt),
        }

    async def close(self) -> None:
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _event(self, kind: str, metadata: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        event_id = f"msg_{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"
        return {"id": event_id, "timestamp": timestamp(self._clock()), "type": kind, "metadata": metadata, "data": data}

    async def _deliver(self, event: dict[str, Any]) -> int:
        if not self.secret:
            return 0
        raw, person = orjson.dumps(event), str(event["metadata"].get("user_id", ""))
        await asyncio.sleep(self.delay())
        statuses = [0]
        for attempt in count(1):
            headers = self.headers(event["id"], raw, attempt)
            statuses = await asyncio.gather(*(self._post(raw, headers) for _ in range(self.copies)))
            if all(200 <= status < 300 for status in statuses):
                self._effects.record("event_delivered", person=person, key=event["id"], attempts=attempt)
                break
            if attempt == MOST_ATTEMPTS:
                self._effects.record("event_given_up", person=person, key=event["id"], statuses=statuses)
                break
            log.warning("event not accepted (statuses %s, 0: no answer); retrying", statuses)
            await asyncio.sleep(self.backoff(attempt - 1))
        return statuses[0]

    async def _post(self, raw: bytes, headers: dict[str, str]) -> int:
        """The status of the answer; 0 if there was no answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(self.url, data=raw, headers=headers, timeout=_TIMEOUT) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


def _metadata(trigger: Trigger) -> dict[str, Any]:
    return {
        "log_id": f"log_{trigger.id.removeprefix('ti_')}",
        "trigger_slug": trigger.type.slug,
        "trigger_id": trigger.id,
        "connected_account_id": trigger.account.id,
        "auth_config_id": trigger.account.auth_config_id,
        "user_id": trigger.account.user_id,
    }
