"""The start of the model's context: kept through restarts and merges; earlier items stay stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, select, update

from kernel_service.errors import LeaseLost, NotFound, Unreadable
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Message, Reply
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import OUTSIDE, CallRecord, HistoryItem, Turn
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import keys
from tests.contract.store.owner import NOW, Owner, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def two(store: Store) -> tuple[str, str]:
    """Ann is the older one."""
    return await talk(store, "a"), await talk(store, "b", user_id="test:bob", now=NOW + 1)


def heard(text: str) -> HistoryItem:
    return HistoryItem("input", {"said": text})


def said(text: str) -> HistoryItem:
    return HistoryItem("output", {"said": text}, "test:model")


async def talk(store: Store, *texts: str, user_id: str = "test:ann", now: float = NOW) -> str:
    """One turn for each text, of two items: `a` and `a!`."""
    for text in texts:
        person_id = await say(store, text, user_id, now=now)
        owner = await own(store, person_id)
        turn = await owner.open(now)
        await owner.end(turn, heard(text), said(f"{text}!"))
    return person_id


async def shown(store: Store, person_id: str) -> list[Any]:
    return [item.data["said"] for item in await history(store, person_id)]


async def stored(store: Store, person_id: str) -> int:
    count = select(func.count()).select_from(schema.item).where(schema.item.c.person_id == person_id)
    return int(await store.engine.read(lambda tx: tx.execute(count).scalar_one()))


async def opened(store: Store, text: str) -> tuple[Owner, Turn]:
    """An open turn whose messages are journaled."""
    owner = await own(store, await say(store, text))
    turn = await owner.open()
    await owner.append(turn, heard(text))
    return owner, turn


# --- an operator's reset --------------------------------------------------------------------------------------------


async def test_a_reset_hides_what_is_stored_and_keeps_it(store: Store) -> None:
    ann = await talk(store, "a", "b")
    assert await store.context.reset(ann) == ann
    assert await shown(store, ann) == []
    assert await stored(store, ann) == 4
    await talk(store, "c")
    assert await shown(store, ann) == ["c", "c!"]


async def test_a_repeated_reset_and_one_without_a_history_do_no_harm(store: Store) -> None:
    ann = await say(store, "a")
    for _ in range(2):
        await store.context.reset(ann)
    await own(store, ann)
    await talk(store, "b")
    for _ in range(2):
        await store.context.reset(ann)
    assert await shown(store, ann) == []


async def test_a_reset_survives_a_restart(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann = await talk(store, "a")
    await store.context.reset(ann)
    await store.close()
    store = await open_store(database_url, keys("test"))
    assert await shown(store, ann) == []
    await store.close()


async def test_the_context_of_an_unknown_person_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.context.reset("p_nobody")


async def test_a_reset_that_cannot_help_reports_it(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann = await talk(store, "a")
    await store.engine.write(lambda tx: tx.execute(update(schema.person).values(data_key=b"damaged" * 9)))
    await store.close()
    store = await open_store(database_url, keys("test"))
    with pytest.raises(Unreadable, match=r"restore `person\.data_key` from a backup"):
        await store.context.reset(ann)
    await store.close()


async def test_a_reset_shows_an_open_turn_only_its_own_items(store: Store) -> None:
    await talk(store, "a")
    owner, turn = await opened(store, "b")
    await owner.append(turn, said("c1"), started=CallRecord("c1", "tool", NOW))
    await store.context.reset(owner.person_id)
    assert await shown(store, owner.person_id) == ["b", "c1"]
    again = await (await own(store, owner.person_id)).open()
    assert (again.id, [intent.call_id for intent in again.intents]) == (turn.id, ["c1"])


async def test_a_reset_runs_a_turn_that_was_put_off_at_once(store: Store) -> None:
    owner, turn = await opened(store, "a")
    await store.turns.fail(turn, owner.epoch, until=NOW + 600, problem="turn_broke", now=NOW)
    turn = await owner.open(NOW + 600)
    await store.turns.hold(turn, owner.epoch, until=NOW + 900, problem="x", notice=Reply("wait"), now=NOW)
    assert await store.inbox.due_people(now=NOW, limit=9) == []
    await store.context.reset(owner.person_id)
    assert await store.inbox.due_people(now=NOW, limit=9) == [owner.person_id]
    again = await owner.open(NOW)
    assert (again.id, again.attempt_count) == (turn.id, 0)


async def test_a_reset_of_a_damaged_history_opens_no_value(store: Store) -> None:
    ann = await talk(store, "a", "b")
    await store.engine.write(lambda tx: tx.execute(update(schema.item).values(data=b"damaged")))
    await store.context.reset(ann)
    assert await shown(store, ann) == []
    await talk(store, "c")
    assert await shown(store, ann) == ["c", "c!"]


async def test_new_items_are_shown_although_items_after_the_start_were_deleted(store: Store) -> None:
    ann = await talk(store, "a", "b")
    await store.context.reset(ann)
    await store.engine.write(lambda tx: tx.execute(delete(schema.item)))
    await talk(store, "c")
    assert await shown(store, ann) == ["c", "c!"]


# --- the person's own -----------------------------------------------------------------------------------------------


async def new_chat(store: Store, message_id: str = "n") -> str:
    message = Message("test:ann", message_id, Payload(Text("New chat!")))
    accepted = await store.inbox.accept(message, now=NOW, max_pending=100)
    assert accepted.command is Command.NEW_CHAT
    return accepted.person_id


async def test_a_new_chat_counts_in_the_order_of_the_messages(store: Store) -> None:
    await say(store, "a")
    ann = await new_chat(store)
    await say(store, "b")
    owner, seen = await own(store, ann), []
    while isinstance(turn := await owner.ask(), Turn):
        names = [one.message_id for one in turn.messages]
        await owner.end(turn, *([] if turn.is_new_chat else [heard(names[0])]))
        seen.append((names, await shown(store, ann)))
        owner = await own(store, ann)
    assert seen == [(["a"], ["a"]), (["n"], []), (["b"], ["b"])]


async def test_an_interrupted_new_chat_is_done_when_it_resumes(store: Store) -> None:
    ann = await talk(store, "a")
    await new_chat(store)
    turn = await (await own(store, ann)).open()
    assert await shown(store, ann) == ["a", "a!"]
    again = await own(store, ann)
    assert (await again.open()).id == turn.id
    await again.end(turn)
    assert await shown(store, ann) == []


async def test_a_new_chat_lifts_the_limit(store: Store) -> None:
    ann = await talk(store, "a")
    await store.context.shrink(ann, (await own(store, ann)).epoch, keep=2, tokens=1_000)
    assert (await store.kernels.activate(ann, owner="reader")).context_tokens == 1_000
    await new_chat(store)
    owner = await own(store, ann)
    await owner.end(await owner.open())
    assert (await store.kernels.activate(ann, owner="reader")).context_tokens == 0


async def test_a_former_owner_begins_no_new_chat(store: Store) -> None:
    ann = await talk(store, "a")
    await new_chat(store)
    old = await own(store, ann)
    turn = await old.open()
    await own(store, ann)
    with pytest.raises(LeaseLost):
        await old.end(turn)
    assert await shown(store, ann) == ["a", "a!"]


async def test_stop_does_not_withdraw_a_new_chat(store: Store) -> None:
    ann = await talk(store, "a")
    await new_chat(store)
    stopped = await store.inbox.accept(Message("test:ann", "s", Payload(Text("stop"))), now=NOW, max_pending=100)
    assert stopped.withdrawn == ()
    owner, commands = await own(store, ann), []
    while isinstance(turn := await owner.ask(), Turn):
        commands.append(turn.messages[0].command)
        await owner.end(turn)
    assert commands == [Command.NEW_CHAT, Command.STOP]
    assert await shown(store, ann) == []


async def test_a_new_chat_of_two_people_still_applies_after_their_merge(store: Store) -> None:
    ann, bob = await two(store)
    await new_chat(store)
    await store.merging.merge(ann, bob, now=NOW)
    owner = await own(store, ann)
    await owner.end(await owner.open())
    assert await shown(store, ann) == [], "it came last, after all that either has said"


# --- a smaller window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (0, []),
        (1, ["c!"]),
        (2, ["c", "c!"]),
        (6, ["a", "a!", "b", "b!", "c", "c!"]),
        (7, ["a", "a!", "b", "b!", "c", "c!"]),
    ],
)
async def test_the_last_items_are_kept_permanently(store: Store, keep: int, left: list[str]) -> None:
    ann = await talk(store, "a", "b", "c")
    owner = await own(store, ann)
    await store.context.shrink(ann, owner.epoch, keep=keep)
    assert await shown(store, ann) == left
    await talk(store, "d")
    assert await shown(store, ann) == [*left, "d", "d!"]
    assert await stored(store, ann) == 8


@pytest.mark.parametrize("tainted", [True, False])
async def test_the_taint_of_what_is_left_out_stays_with_the_open_turn(store: Store, tainted: bool) -> None:
    await talk(store, "a", "b")
    owner, turn = await opened(store, "c")
    await owner.append(turn, heard("d"), said("d!"))
    await store.context.shrink(owner.person_id, owner.epoch, keep=4, tainted=tainted)
    origins = [(item.data["said"], item.origin) for item in await history(store, owner.person_id)]
    assert origins == [("b!", "test:model"), ("c", ""), ("d", OUTSIDE if tainted else ""), ("d!", "test:model")]


async def test_superseded_items_are_not_counted(store: Store) -> None:
    await talk(store, "a", "b")
    owner, turn = await opened(store, "c")
    await store.turns.give_up(turn, owner.epoch, [said("sorry")], [], problem="x", now=NOW)
    await store.context.shrink(owner.person_id, owner.epoch, keep=3)
    assert await shown(store, owner.person_id) == ["b", "b!", "sorry"]


async def test_hidden_items_are_never_shown_again(store: Store) -> None:
    ann = await talk(store, "a", "b")
    await store.context.reset(ann)
    await talk(store, "c")
    await store.context.shrink(ann, (await own(store, ann)).epoch, keep=5)
    assert await shown(store, ann) == ["c", "c!"]


async def test_a_former_owner_cannot_shrink_the_context(store: Store) -> None:
    ann = await talk(store, "a")
    old = await own(store, ann)
    await own(store, ann)
    with pytest.raises(LeaseLost):
        await store.context.shrink(ann, old.epoch, keep=0)
    assert await shown(store, ann) == ["a", "a!"]


# --- merged people --------------------------------------------------------------------------------------------------


async def test_a_merge_shows_no_items_from_before_either_reset(store: Store) -> None:
    ann, bob = await two(store)
    for one in (ann, bob):
        await store.context.reset(one)
    await talk(store, "c")
    await talk(store, "d", user_id="test:bob", now=NOW + 1)
    await store.merging.merge(ann, bob, now=NOW)
    assert await shown(store, ann) == ["c", "c!", "d", "d!"]
    assert await stored(store, ann) == 8


async def test_a_merge_shows_the_history_of_the_person_without_a_reset(store: Store) -> None:
    ann, bob = await two(store)
    await store.context.reset(ann)
    await store.merging.merge(ann, bob, now=NOW)
    assert await shown(store, ann) == ["b", "b!"]


async def test_a_reset_by_a_merged_persons_id_applies_to_the_remaining_person(store: Store) -> None:
    ann, bob = await two(store)
    await store.merging.merge(ann, bob, now=NOW)
    assert await store.context.reset(bob) == ann
    assert await shown(store, ann) == []
