"""Which kernels a node may take, which people it looks for, and when an attempt counts as crashed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost, NotFound, OwnedElsewhere
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Text
from kernel_service.ports.turns import Turn
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.test_nodes import joined
from tests.payloads import sent

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def due(store: Store, node: str, *homes: str) -> list[str]:
    return await store.inbox.due_people(now=NOW, limit=10, owner=node, adopts=homes.__contains__)


# --- taking -------------------------------------------------------------------------------------------------------


async def test_a_kernel_of_a_live_node_is_not_taken(store: Store) -> None:
    await joined(store, "one", "two")
    first = await own(store, await say(store, "m1"), "one")
    with pytest.raises(OwnedElsewhere) as refused:
        await own(store, first.person_id, "two")
    assert refused.value.owner == "one"
    assert isinstance(await first.ask(), Turn)  # its lease is as it was


async def test_of_two_nodes_that_take_at_once_one_gets_it(store: Store) -> None:
    await joined(store, "one", "two", "three")
    person = await say(store, "m1")
    taken = await asyncio.gather(
        *(own(store, person, node) for node in ("one", "two", "three")), return_exceptions=True
    )
    assert sorted(isinstance(one, OwnedElsewhere) for one in taken) == [False, True, True]


async def test_a_released_kernel_is_taken(store: Store) -> None:
    await joined(store, "one", "two")
    first = await own(store, await say(store, "m1"), "one")
    await store.kernels.release(first.person_id, first.epoch)
    second = await own(store, first.person_id, "two")
    assert second.epoch == first.epoch + 1


async def test_a_node_learns_whose_people_it_takes(store: Store) -> None:
    if not store.engine.is_shared:
        pytest.skip("SQLite has one node")
    await joined(store, "one", "two")
    person = await say(store, "m1")
    assert (await store.kernels.activate(person, owner="one")).owner_before == ""
    assert (await store.kernels.activate(person, owner="one")).owner_before == "one"
    await store.nodes.leave("one")
    assert (await store.kernels.activate(person, owner="two")).owner_before == "one"


async def test_one_removed_row_frees_all_people_of_a_dead_node(store: Store) -> None:
    await joined(store, "one", "two")
    people = [await say(store, f"m{number}", f"test:{number}") for number in range(3)]
    firsts = [await own(store, person, "one") for person in people]
    await store.nodes.leave("one")
    assert sorted(await due(store, "two", *people)) == sorted(people)
    for first in firsts:
        await own(store, first.person_id, "two")
        with pytest.raises(LeaseLost):
            await first.ask()


async def test_a_node_takes_its_own_again(store: Store) -> None:
    await joined(store, "one")
    first = await own(store, await say(store, "m1"), "one")
    assert (await own(store, first.person_id, "one")).epoch == first.epoch + 1


async def test_a_draining_node_keeps_only_whose_attempt_it_has_begun(store: Store) -> None:
    await joined(store, "one", "two")
    at_rest = await own(store, await say(store, "m1", "test:ann"), "one")
    at_work = await own(store, await say(store, "m2", "test:bob"), "one")
    turn = await at_work.open()
    await store.nodes.drain("one")
    await own(store, at_rest.person_id, "two")
    with pytest.raises(OwnedElsewhere):
        await own(store, at_work.person_id, "two")
    assert await due(store, "two", at_work.person_id) == [at_rest.person_id]
    await store.turns.requeue(turn, at_work.epoch)
    again = await (await own(store, at_work.person_id, "two")).open()
    assert (again.id, again.crash_count) == (turn.id, 0)


async def test_an_unknown_person_is_not_found(store: Store) -> None:
    await joined(store, "one")
    with pytest.raises(NotFound):
        await own(store, "p_nobody", "one")


# --- looking ------------------------------------------------------------------------------------------------------


async def test_each_node_finds_its_own_people_and_the_orphans_that_it_adopts(store: Store) -> None:
    await joined(store, "one", "two")
    ann, bob, cia, dan = [await say(store, name, f"test:{name}") for name in ("ann", "bob", "cia", "dan")]
    await own(store, ann, "one")
    await own(store, bob, "two")
    await own(store, cia, "dead")
    assert set(await due(store, "one", cia)) == {ann, cia}
    assert set(await due(store, "two", ann, dan)) == {bob, dan}


async def test_a_message_is_accepted_with_the_owner(store: Store) -> None:
    await joined(store, "one")
    person = await say(store, "m1")
    await own(store, person, "one")
    accepted = await store.inbox.accept(Message("test:ann", "m2", sent(Text("more"), None)), now=NOW, max_pending=10)
    assert accepted.owner == "one"


# --- crashes ------------------------------------------------------------------------------------------------------


async def test_an_attempt_of_a_dead_node_counts_as_a_crash(store: Store) -> None:
    await joined(store, "one", "two")
    first = await own(store, await say(store, "m1"), "one")
    await first.open()
    await store.nodes.leave("one")
    again = await (await own(store, first.person_id, "two")).open()
    assert again.crash_count == 1


async def test_an_attempt_that_a_live_node_lost_does_not(store: Store) -> None:
    await joined(store, "one", "two")
    first = await own(store, await say(store, "m1"), "one")
    await first.open()
    await store.kernels.release(first.person_id, first.epoch)
    again = await (await own(store, first.person_id, "two")).open()
    assert again.crash_count == 0


# --- a reset ------------------------------------------------------------------------------------------------------


async def test_a_kernel_at_rest_is_outdated(store: Store) -> None:
    await joined(store, "one")
    first = await own(store, await say(store, "m1"), "one")
    await first.end(await first.open())
    assert await store.context.outdate(first.person_id)
    with pytest.raises(LeaseLost):
        await first.ask()


async def test_a_running_attempt_keeps_its_lease_until_it_ends(store: Store) -> None:
    await joined(store, "one")
    first = await own(store, await say(store, "m1"), "one")
    turn = await first.open()
    assert not await store.context.outdate(first.person_id)
    await first.append(turn)
    await store.turns.requeue(turn, first.epoch)
    assert await store.context.outdate(first.person_id)
    with pytest.raises(LeaseLost):
        await first.ask()
