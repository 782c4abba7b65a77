"""A message that the service itself puts into the inbox: stored once, in order, in a separate turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.commands import Command
from kernel_service.ports.payloads import Payload, Scheduled, Triggered
from kernel_service.ports.schedules import ScheduleKind
from kernel_service.storage.inbox import own_messages
from tests.contract.store.owner import NOW, own, say

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Content
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

RUN = Scheduled("s_1", ScheduleKind.DO, "water the plants", NOW + 60, "Europe/Vienna", recurs=True)
EVENTS = Triggered("g_1", "gmail", "GMAIL_NEW_GMAIL_MESSAGE", "tell me", '[{"subject": "hi"}]')


async def put(store: Store, person_id: str, content: Content, message_id: str = "schedule:s_1:60") -> int | None:
    command = Command.SCHEDULED if isinstance(content, Scheduled) else Command.TRIGGERED

    def unit(tx: Tx) -> int | None:
        return own_messages.put(
            tx,
            person_id,
            channel="whatsapp",
            address="n1",
            message_id=message_id,
            content=content,
            command=command,
            now=NOW + 60,
        )

    return await store.engine.write(unit)


@pytest.mark.parametrize("content", [RUN, EVENTS])
async def test_it_has_a_separate_turn(store: Store, content: Content) -> None:
    person = await say(store, "hello")
    owner = await own(store, person)
    assert await put(store, person, content) is not None
    first = await owner.open(now=NOW + 61)
    assert [message.payload for message in first.messages] != [Payload(content)]
    await owner.end(first, now=NOW + 62)
    second = await owner.open(now=NOW + 63)
    (message,) = second.messages
    assert (message.payload, message.message_id, second.closed) == (Payload(content), "", True)


async def test_the_same_id_is_put_once(store: Store) -> None:
    person = await say(store, "hello")
    assert await put(store, person, RUN) is not None
    assert await put(store, person, RUN) is None
    assert await put(store, person, RUN, "schedule:s_1:120") is not None
