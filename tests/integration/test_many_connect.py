"""Many people connect at once; `benchmarks/connecting.py` does it with a thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.crowd import connect_at_once

if TYPE_CHECKING:
    from tests.integration.world import World

PEOPLE = 25


async def test_each_waiting_request_is_answered_once_without_a_thread(world: World) -> None:
    crowd = await connect_at_once(world, PEOPLE)
    assert [f"Demo {number}" in answer for number, answer in enumerate(crowd.answers)] == [True] * PEOPLE
    assert crowd.tasks == [1] * PEOPLE
    assert crowd.threads < PEOPLE
    # A session, the toolkit (until it is cached), a link, a read of the account, the task; the tools once for all.
    assert len(crowd.asked) <= 5 * PEOPLE + 1
