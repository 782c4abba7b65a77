"""Budgets hold: the possible cost of requests is reserved before they are made, however many are concurrent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import Busy
from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.spending import Budgets, BudgetSpentError, Estimate
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.usage.reservations import LOST_SECONDS, UNDER_WAY_SECONDS
from tests.contract.store.conftest import keys
from tests.contract.store.owner import NOW, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

ESTIMATE = Estimate(input_tokens=600, output_tokens=100, most_output_tokens=400)
"""1,000 tokens at most, 700 typically."""
DAY = 86_400


async def people(store: Store, many: int) -> list[str]:
    return [await say(store, f"m{number}", f"test:{number}") for number in range(many)]


async def tried(store: Store, person: str, budgets: Budgets, now: float = NOW) -> str:
    """The reservation, or the name of the error that prevented it."""
    try:
        return await store.spending.reserve(person, ESTIMATE, budgets, now=now)
    except (Busy, BudgetSpentError) as refused:
        return type(refused).__name__


async def settle(store: Store, person: str, reservation: str, tokens: int, now: float = NOW) -> None:
    owner = await own(store, person)
    turn = await owner.open(now)
    usage = Usage(input_tokens=tokens, model_calls=1)
    await store.turns.end(
        turn, owner.epoch, [], [Reply("done")],
        status=TurnStatus.COMPLETED, usage=usage, settles=(reservation,), now=now,
    )  # fmt: skip


async def test_a_hundred_concurrent_requests_reserve_no_more_than_the_budget(store: Store) -> None:
    budgets = Budgets(all_people=10_000)
    crowd = await people(store, 100)
    outcomes = await asyncio.gather(*(tried(store, person, budgets) for person in crowd))
    reserved = [one for one in outcomes if one not in {"Busy", "BudgetSpentError"}]
    assert len(reserved) == 10
    assert outcomes.count("Busy") == 90, "they wait, since what is under way may cost less"
    assert await store.spending.spent_today(None, now=NOW) == 700 * 10


async def test_two_processes_reserve_no_more_than_the_budget(postgres_url: str) -> None:
    """Each has separate writers, and only the database sees both."""
    stores = [await open_store(postgres_url, keys("test")) for _ in range(2)]
    try:
        crowd = await people(stores[0], 60)
        budgets = Budgets(all_people=10_000)
        tries = (tried(stores[number % 2], person, budgets) for number, person in enumerate(crowd))
        outcomes = await asyncio.gather(*tries)
        assert sum(one.startswith("tr_") for one in outcomes) == 10
    finally:
        for store in stores:
            await store.close()


async def test_a_lower_cost_frees_budget_and_a_spent_budget_ends_the_day(store: Store) -> None:
    budgets = Budgets(all_people=1_100)
    ann, bob, carl = await people(store, 3)
    first = await tried(store, ann, budgets)
    assert await tried(store, bob, budgets) == "Busy"
    await settle(store, ann, first, 500)
    second = await tried(store, bob, budgets)  # alone it may cost more than the rest of the budget
    assert second.startswith("tr_")
    assert await tried(store, carl, budgets) == "Busy"
    await settle(store, bob, second, 600)
    assert await tried(store, carl, budgets) == "BudgetSpentError"
    assert await store.spending.spent_today(None, now=NOW) == 1_100
    assert (await tried(store, carl, budgets, now=NOW + DAY)).startswith("tr_"), "tomorrow is another day"


async def test_one_request_at_most_exceeds_a_persons_budget(store: Store) -> None:
    budgets = Budgets(per_person=1_500)
    ann, bob = await people(store, 2)
    for count in range(3):
        assert (await tried(store, ann, budgets)).startswith("tr_"), count
    assert await tried(store, ann, budgets) == "BudgetSpentError"
    assert (await tried(store, bob, budgets)).startswith("tr_")
    assert await store.spending.reserve(ann, ESTIMATE, budgets, anyway=True, now=NOW)


@pytest.mark.parametrize("budgets", [Budgets(per_person=700), Budgets(all_people=700)])
async def test_reservations_of_a_killed_process_stay_counted(database_url: str, budgets: Budgets) -> None:
    """No write settles it. It is no longer in progress once its person sends another request, and counts as spent in
    the end.
    """
    store = await open_store(database_url, keys("test"))
    [ann] = await people(store, 1)
    assert (await tried(store, ann, budgets)).startswith("tr_")
    await store.close()
    store = await open_store(database_url, keys("test"))
    try:
        assert await store.spending.spent_today(ann, now=NOW) == 700
        assert await tried(store, ann, budgets) == "BudgetSpentError"
        later = NOW + UNDER_WAY_SECONDS + LOST_SECONDS + 1
        await store.retention.forget_old(now=later)
        assert await store.spending.spent_today(ann, now=later) == 700
        [day] = await store.spending.by_day(ann, first=int(NOW // DAY), last=int(NOW // DAY))
        assert day.usage == Usage(input_tokens=600, output_tokens=100, model_calls=1)
        await store.retention.forget_old(now=later)
        assert await store.spending.spent_today(None, now=later) == 700
    finally:
        await store.close()


async def test_a_merge_moves_all_reservations(store: Store) -> None:
    ann, bob = await people(store, 2)
    for person in (ann, bob):
        await tried(store, person, Budgets(per_person=10_000))
    stays = (await store.merging.merge(ann, bob, now=NOW)).person_id
    assert await store.spending.spent_today(stays, now=NOW) == 1_400


async def test_an_attempts_usage_is_counted_for_turn_and_day(store: Store) -> None:
    [ann] = await people(store, 1)
    reservation = await tried(store, ann, Budgets(per_person=10_000))
    owner = await own(store, ann)
    turn = await owner.open()
    usage = Usage(input_tokens=7, model_calls=1)
    await store.turns.add_usage(turn, owner.epoch, usage=usage, settles=(reservation,), now=NOW)
    assert await store.spending.spent_today(ann, now=NOW) == 7
    await store.turns.requeue(turn, owner.epoch)
    again = await owner.open()
    assert (again.usage, again.begun) == (usage, False)


async def test_two_nodes_at_once_exceed_a_persons_budget_by_one_request_at_most(two_nodes: tuple[Store, Store]) -> None:
    """Another node may own the person by now, while a request of the former owner is on its way."""
    [ann] = await people(two_nodes[0], 1)
    budgets = Budgets(per_person=1_000)
    outcomes = await asyncio.gather(*(tried(node, ann, budgets) for node in two_nodes * 10))
    assert len([one for one in outcomes if one.startswith("tr_")]) == 2, "700 of 1,000, and one more"
    assert await two_nodes[1].spending.spent_today(ann, now=NOW) == 1_400


async def test_two_nodes_at_once_exceed_no_common_budget(two_nodes: tuple[Store, Store]) -> None:
    crowd = await people(two_nodes[0], 40)
    budgets = Budgets(all_people=10_000, per_person=10_000)
    outcomes = await asyncio.gather(
        *(tried(two_nodes[number % 2], person, budgets) for number, person in enumerate(crowd))
    )
    assert len([one for one in outcomes if one.startswith("tr_")]) == 10
    assert await two_nodes[1].spending.spent_today(None, now=NOW) == 7_000
