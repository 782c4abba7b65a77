"""A summary and a compaction in the journal: what later activations read, and when a summary is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost
from kernel_service.ports.messages import Usage
from kernel_service.ports.turns import COMPACTION, OWN, SUMMARY, TAINTED, HistoryItem
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, own, say

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.store import Store
    from tests.contract.store.owner import Owner

MODEL = "openai:m"
NOTES = HistoryItem(SUMMARY, {"notes": 1}, OWN)
SEALED = HistoryItem(COMPACTION, {"type": COMPACTION, "id": "cmp_1", "encrypted_content": "x"}, MODEL)


async def talked(store: Store, *items: HistoryItem) -> tuple[Owner, Turn]:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.end(turn, *(items or (HELLO, ASKS, FOUND)))
    return owner, turn


async def keeps(owner: Owner, turn_id: str, summary: HistoryItem | None = NOTES) -> bool:
    usage = Usage(input_tokens=7, model_calls=1)
    return await owner.store.context.keep_summary(owner.person_id, owner.epoch, turn_id, summary, usage=usage, now=NOW)


async def read(store: Store, owner: Owner, model: str = MODEL) -> list[HistoryItem]:
    return (await store.kernels.activate(owner.person_id, owner="two", model=model)).history


async def test_summary_is_read_instead_of_what_precedes_it(store: Store) -> None:
    owner, turn = await talked(store)
    assert await keeps(owner, turn.id)
    assert await read(store, owner) == [NOTES]
    [day] = await store.spending.by_day(owner.person_id, first=0, last=10**6)
    assert (day.usage.input_tokens, day.usage.model_calls) == (7, 1)


async def test_cost_is_kept_without_a_summary(store: Store) -> None:
    owner, turn = await talked(store)
    assert not await keeps(owner, turn.id, None)
    assert await read(store, owner) == [HELLO, ASKS, FOUND]
    assert await store.spending.spent_today(owner.person_id, now=NOW) == 7


async def test_summary_of_a_context_that_changed_is_refused(store: Store) -> None:
    owner, turn = await talked(store)
    await say(store, "m2")
    opened = await owner.open()
    assert not await keeps(owner, turn.id), "a turn is open"
    await owner.end(opened, HELLO)
    assert not await keeps(owner, turn.id), "another turn has ended since"
    await store.context.reset(owner.person_id)
    assert not await keeps(owner, opened.id), "the context was reset"
    assert await read(store, owner) == []
    with pytest.raises(LeaseLost):
        await keeps(owner, opened.id)


@pytest.mark.parametrize("origin", [MODEL, TAINTED + MODEL])
async def test_compaction_is_read_by_its_own_model_alone(store: Store, origin: str) -> None:
    sealed = SEALED._replace(origin=origin)
    owner, _ = await talked(store, HELLO, sealed, ASKS, FOUND)
    assert await read(store, owner) == [sealed, ASKS, FOUND]
    assert await read(store, owner, "openai:other") == [HELLO, sealed, ASKS, FOUND]


async def test_disowned_compaction_shows_the_originals(store: Store) -> None:
    owner, _ = await talked(store, HELLO, SEALED._replace(origin=TAINTED + MODEL), ASKS, FOUND)
    await store.context.disown_reasoning(owner.person_id, owner.epoch, MODEL)
    ended = await store.context.ended_turns(owner.person_id, owner.epoch, MODEL)
    assert [one.kind for one in ended] == ["input", COMPACTION, "output", "result"]
    assert await read(store, owner) == ended


async def test_open_turn_is_read_whole_with_the_turns_before_it(store: Store) -> None:
    owner, _ = await talked(store)
    await say(store, "m2")
    turn = await owner.open()
    await owner.append(turn, HELLO, SEALED, ASKS)
    activation = await store.kernels.activate(owner.person_id, owner="two", model=MODEL)
    assert activation.history == [HELLO, ASKS, FOUND, HELLO, SEALED, ASKS]
    assert activation.open_items == 3
    owner.epoch = activation.epoch
    assert await store.context.ended_turns(owner.person_id, owner.epoch, MODEL) == [HELLO, ASKS, FOUND]
