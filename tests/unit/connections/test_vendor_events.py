"""Composio's events: only those with a recent signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from kernel_service.connections.vendor_events import ComposioEvents
from tests.unit.composio.fakes import killed_after

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection
    from tests.unit.composio.fakes import World

SECRET = "whsec_of_the_tests"


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), f"msg_1.{int(at)}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,none {signature}"}


def expired(account_id: str, person_id: str) -> bytes:
    data = {"id": account_id, "user_id": person_id, "status": "EXPIRED", "toolkit": {"slug": "asana"}}
    return orjson.dumps({"id": "msg_1", "type": "composio.connected_account.expired", "data": data})


def events(world: World, secret: str = SECRET) -> ComposioEvents:
    """Takes the events of accounts; those of triggers have their own tests."""

    async def on_trigger(_: dict[str, Any]) -> None: ...

    async def watched_for(_: Connection) -> list[str]:
        return []

    async def route(_: str) -> tuple[str, str]:
        return "test", "desk"

    return ComposioEvents(secret, world.connections, on_trigger, watched_for, route, world.looked.append, world.clock)


async def test_an_ended_account_is_told_once(world: World) -> None:
    connection = await world.connect("p_alice")
    body = expired(connection.account_id, "p_alice")
    for _ in range(3):
        assert await events(world).handle(signed(body, world.clock.now), body)
    [(person_id, told)] = world.told
    assert person_id == "p_alice"
    assert "Your Asana account is no longer connected" in told
    assert world.looked == ["test"]
    assert not await world.connections.active("p_alice", "asana")


async def test_an_ended_account_is_told_though_the_process_died_when_it_had_noted_it(world: World) -> None:
    connection = await world.connect("p_alice")
    body = expired(connection.account_id, "p_alice")
    with killed_after(world.store.connections, "bar"):
        await events(world).handle(signed(body, world.clock.now), body)
    assert await events(world).handle(signed(body, world.clock.now), body), "it is delivered again"
    assert [person_id for person_id, _ in world.told] == ["p_alice"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"webhook-signature": "v1,AAAA"}, None),
        ({"webhook-signature": "é"}, None),
        ({"webhook-timestamp": "1"}, None),
        ({"webhook-timestamp": "²"}, None),
        ({"webhook-id": ""}, None),
        ({}, b"{}"),
    ],
)
async def test_events_not_signed_by_composio_are_refused(
    world: World, headers: dict[str, str], body: bytes | None
) -> None:
    connection = await world.connect("p_alice")
    true = expired(connection.account_id, "p_alice")
    assert not await events(world).handle(signed(true, world.clock.now) | headers, true if body is None else body)
    assert await world.connections.active("p_alice", "asana") == [connection]


async def test_an_old_event_or_one_without_a_secret(world: World) -> None:
    body = b"{}"
    assert not await events(world).handle(signed(body, world.clock.now - 301), body)
    assert not await events(world, "").handle(signed(body, world.clock.now, ""), body)


@pytest.mark.parametrize(
    "event", [[], {"type": "composio.trigger.message"}, {"type": "composio.connected_account.expired"}]
)
async def test_other_events_are_taken_and_left_alone(world: World, event: Any) -> None:
    body = orjson.dumps(event)
    assert await events(world).handle(signed(body, world.clock.now), body)
    assert not world.told
