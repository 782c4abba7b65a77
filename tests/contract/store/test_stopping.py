""" "stop" withdraws waiting messages and stops the running turn; it is never merged, and ignores the cap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import Exhausted
from kernel_service.ports.commands import Command
from kernel_service.ports.interruptions import Stopped
from kernel_service.ports.messages import Message, MessageStatus
from kernel_service.ports.payloads import Choice, Content, Payload, Text
from kernel_service.ports.turns import CallRecord, Turn, TurnStatus
from tests.contract.store.owner import ASKS, HELLO, NOW, own, say

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store


async def stop(store: Store, message_id: str = "s", cap: int = 100) -> Accepted:
    return await store.inbox.accept(Message("test:ann", message_id, Payload(Text("Stop!"))), now=NOW, max_pending=cap)


async def test_waiting_messages_are_withdrawn(store: Store) -> None:
    person = await say(store, "m1")
    await say(store, "m2")
    stopped = await stop(store)
    await say(store, "m3")
    assert stopped.command is Command.STOP
    assert [(await store.inbox.answer_of(person, seq)).status for seq in stopped.withdrawn] == [
        MessageStatus.STOPPED
    ] * 2
    owner, order = await own(store, person), []
    while isinstance(turn := await owner.ask(debounce=99), Turn):  # a stop does not wait for the debounce
        order.append([one.command for one in turn.messages])
        await owner.end(turn)
    assert order == [[Command.STOP]]
    assert [one.message_id for one in (await owner.open(NOW + 99)).messages] == ["m3"]


async def test_of_two_waiting_stops_the_later_one_is_answered(store: Store) -> None:
    first = await stop(store, "s1")
    assert (await stop(store, "s2")).withdrawn == (first.seq,)


async def test_a_running_turn_is_interrupted_at_its_next_step(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HELLO, ASKS)
    assert (await stop(store)).withdrawn == ()
    with pytest.raises(Stopped):
        await store.turns.check_interrupts(turn)
    with pytest.raises(Stopped):
        await owner.append(turn, started=CallRecord("c1", "send_mail", NOW))
    with pytest.raises(Stopped):
        await owner.end(turn)
    await owner.end(turn, status=TurnStatus.STOPPED)
    assert (await store.inbox.answer_of(owner.person_id, turn.messages[0].seq)).status is MessageStatus.STOPPED


async def test_an_interrupted_or_held_turn_is_stopped_when_it_is_opened_again(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await store.turns.hold(turn, owner.epoch, until=NOW + 3600, problem="model_busy", notice=None, now=NOW)
    assert await store.inbox.due_people(now=NOW, limit=9) == []
    await stop(store)
    assert await store.inbox.due_people(now=NOW, limit=9) == [owner.person_id]
    again = await (await own(store, owner.person_id, "two")).open()
    assert (again.id, again.stopped, len(again.messages)) == (turn.id, True, 1)


async def test_a_stop_is_accepted_above_the_cap(store: Store) -> None:
    await say(store, "m1")
    assert (await stop(store, cap=1)).command is Command.STOP


@pytest.mark.parametrize("text", ["stop the music", "", "st op", "stopp"])
async def test_other_words_are_for_the_assistant(store: Store, text: str) -> None:
    accepted = await store.inbox.accept(Message("test:ann", "m1", Payload(Text(text))), now=NOW, max_pending=9)
    assert accepted.command is Command.NONE


@pytest.mark.parametrize("content", [Text("BCDF-GHJK"), Choice("approval:ap_1:yes", "Approve")])
async def test_codes_and_buttons_count_towards_the_cap_like_messages(store: Store, content: Content) -> None:
    await say(store, "m1")
    with pytest.raises(Exhausted):
        await store.inbox.accept(Message("test:ann", "m2", Payload(content)), now=NOW, max_pending=1)
