"""The context's limit, and whose reasoning it contains: kept through restarts, evictions and merges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost
from kernel_service.ports.messages import Usage
from kernel_service.ports.turns import SEALED, HistoryItem
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.owner import NOW, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

OWN, OTHER = "openai:a", "openai:b"


async def talked(store: Store, user_id: str = "test:ann", now: float = NOW) -> str:
    person_id = await say(store, "a", user_id, now=now)
    owner = await own(store, person_id)
    items = [
        HistoryItem("input", {"n": 1}),
        HistoryItem("output", {"n": 2}, OWN),
        HistoryItem("output", {"n": 3}, OTHER),
    ]
    await owner.end(await owner.open(now), *items)
    return person_id


async def test_a_limit_is_kept_and_a_reset_lifts_it(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann = await talked(store)
    owner = await own(store, ann)
    assert (await store.kernels.activate(ann, owner="one")).context_tokens == 0
    owner = await own(store, ann)
    await store.context.shrink(ann, owner.epoch, keep=3, tokens=5000)
    await store.context.shrink(ann, owner.epoch, keep=2)
    await store.close()
    store = await open_store(database_url, keys("test"))
    activation = await store.kernels.activate(ann, owner="two")
    assert (activation.context_tokens, len(activation.history)) == (5000, 2)
    await store.context.reset(ann)
    assert (await store.kernels.activate(ann, owner="two")).context_tokens == 0
    await store.close()


async def test_disowned_reasoning_of_an_origin_stays_disowned(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann = await talked(store)
    owner = await own(store, ann)
    for _ in range(2):
        await store.context.disown_reasoning(ann, owner.epoch, OWN)
    await owner.end(await _next(store, ann, owner.epoch), HistoryItem("output", {"n": 4}, OWN))
    await store.close()
    store = await open_store(database_url, keys("test"))
    assert [item.origin for item in await history(store, ann)] == ["", SEALED + OWN, OTHER, OWN]
    await store.close()


async def _next(store: Store, person_id: str, epoch: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    await say(store, "b")
    return await store.turns.next_turn(person_id, epoch, now=NOW, debounce=0)


async def test_one_persons_reasoning_is_not_anothers(store: Store) -> None:
    ann, bob = await talked(store), await talked(store, "test:bob")
    await store.context.disown_reasoning(ann, (await own(store, ann)).epoch, OWN)
    assert [item.origin for item in await history(store, bob)] == ["", OWN, OTHER]


async def test_a_former_owner_changes_nothing(store: Store) -> None:
    ann = await talked(store)
    old = await own(store, ann)
    await own(store, ann, "another")
    with pytest.raises(LeaseLost):
        await store.context.disown_reasoning(ann, old.epoch, OWN)
    with pytest.raises(LeaseLost):
        await store.context.shrink(ann, old.epoch, keep=1, tokens=1000)
    activation = await store.kernels.activate(ann, owner="reader")
    assert (activation.context_tokens, [item.origin for item in activation.history]) == (0, ["", OWN, OTHER])


async def test_merged_people_stay_foreign_to_each_other(store: Store) -> None:
    ann, bob = await talked(store), await talked(store, "test:bob", NOW + 1)
    await store.context.disown_reasoning(bob, (await own(store, bob)).epoch, OWN)
    await store.merging.merge(ann, bob, now=NOW)
    origins = [item.origin for item in await history(store, ann)]
    assert origins == ["", OWN, OTHER, "", f"merged:{SEALED}{OWN}", f"merged:{OTHER}"]


async def test_a_failed_attempt_is_counted_as_usage(store: Store) -> None:
    ann = await say(store, "a")
    owner = await own(store, ann)
    turn = await owner.open()
    spent = Usage(input_tokens=7, model_calls=1)
    await store.turns.fail(turn, owner.epoch, until=NOW, problem="x", usage=spent, now=NOW)
    again = await owner.open(NOW + 1)
    assert (again.attempt_count, again.usage, again.started_at) == (1, spent, NOW)
    assert await store.spending.spent_today(ann, now=NOW) == 7
