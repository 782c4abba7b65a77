"""A message that the service itself puts into the inbox: stored once, in order, in a separate turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Scheduled, Text, Triggered
from kernel_service.ports.schedules import ScheduleKind
from kernel_service.storage.inbox import own_messages
from tests.contract.store.owner import NOW, own, say

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Content
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

RUN = Scheduled("s_1", ScheduleKind.DO, "water the plants", NOW + 60, "Europe/Vienna", recurs=True)
REMINDER = replace(RUN, kind=ScheduleKind.REMIND)
EVENTS = Triggered("g_1", "gmail", "GMAIL_NEW_GMAIL_MESSAGE", "tell me", '[{"subject": "hi"}]')


COMMANDS = {Scheduled: Command.SCHEDULED, Triggered: Command.TRIGGERED}


async def put(store: Store, person_id: str, content: Content, message_id: str = "schedule:s_1:60") -> int | None:
    is_reminder = isinstance(content, Scheduled) and content.kind is ScheduleKind.REMIND
    command = Command.REMINDER if is_reminder else COMMANDS[type(content)]

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


@pytest.mark.parametrize(("content", "is_stopped"), [(REMINDER, False), (EVENTS, False), (RUN, True)])
async def test_a_stop_takes_back_work_and_no_news_that_waits(
    store: Store, content: Content, *, is_stopped: bool
) -> None:
    """The person does not know of it yet, and nothing would tell them later."""
    person = await say(store, "hello")
    seq = await put(store, person, content)
    stopped = await store.inbox.accept(Message("test:ann", "s", Payload(Text("stop"))), now=NOW + 61, max_pending=9)
    assert (seq in stopped.withdrawn) is is_stopped


async def test_a_stop_leaves_a_reminder_that_is_being_sent(store: Store) -> None:
    person = await say(store, "hello")
    owner = await own(store, person)
    await owner.end(await owner.open())
    await put(store, person, REMINDER)
    turn = await owner.open(now=NOW + 61)
    await store.inbox.accept(Message("test:ann", "s", Payload(Text("stop"))), now=NOW + 61, max_pending=9)
    await owner.end(turn, now=NOW + 61)
