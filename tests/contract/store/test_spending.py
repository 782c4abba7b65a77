"""Usage by day and tool, of one person or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost
from kernel_service.ports.admin import DayUsage, ToolUsage
from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.turns import ToolUse, TurnStatus
from tests.contract.store.owner import NOW, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

TODAY = int(NOW // 86_400)
SENT = ToolUse("SEND", failed=False, seconds=0.5)
NOT_SENT = ToolUse("SEND", failed=True, seconds=1.5)
LOOKED = ToolUse("LOOK", failed=False, seconds=0.25)


async def spend(store: Store, user: str, *uses: ToolUse, tokens: int = 10, days: int = 0) -> str:
    """One message of theirs, answered this many days later with these calls."""
    now = NOW + days * 86_400
    person = await say(store, f"{user}-{days}", user, now=now)
    owner = await own(store, person)
    turn = await owner.open(now)
    for used in uses:
        await store.turns.append(turn, owner.epoch, [], usage=Usage(tool_calls=1), used=used, now=now)
    spent = Usage(input_tokens=tokens, output_tokens=1, model_calls=1)
    await store.turns.end(turn, owner.epoch, [], [Reply("done")], status=TurnStatus.COMPLETED, usage=spent, now=now)
    return person


async def test_a_persons_days(store: Store) -> None:
    ann = await spend(store, "test:ann", SENT, LOOKED, NOT_SENT, SENT)
    await spend(store, "test:ann", LOOKED, days=1)
    await spend(store, "test:ann", days=3)
    await spend(store, "test:bob", LOOKED, tokens=1000)
    spent = [Usage(input_tokens=10, output_tokens=1, model_calls=1, tool_calls=calls) for calls in (4, 1, 0)]
    first = DayUsage(TODAY, spent[0], [ToolUsage("LOOK", 1, 0, 0.25), ToolUsage("SEND", 3, 1, 2.5)])
    second = DayUsage(TODAY + 1, spent[1], [ToolUsage("LOOK", 1, 0, 0.25)])
    assert await store.spending.by_day(ann, first=TODAY, last=TODAY) == [first]
    assert await store.spending.by_day(ann, first=TODAY, last=TODAY + 2) == [first, second]
    assert await store.spending.by_day(ann, first=0, last=TODAY + 9) == [
        first,
        second,
        DayUsage(TODAY + 3, spent[2], []),
    ]
    assert await store.spending.by_day(ann, first=TODAY + 4, last=TODAY + 9) == []


async def test_all_people_together(store: Store) -> None:
    await spend(store, "test:ann", SENT)
    await spend(store, "test:bob", NOT_SENT, LOOKED, tokens=1000)
    [day] = await store.spending.by_day(None, first=TODAY, last=TODAY)
    assert day.usage == Usage(input_tokens=1010, output_tokens=2, model_calls=2, tool_calls=3)
    assert day.tools == [ToolUsage("LOOK", 1, 0, 0.25), ToolUsage("SEND", 2, 1, 2.0)]


async def test_a_merge_moves_all_usage(store: Store) -> None:
    ann = await spend(store, "test:ann", SENT)
    bob = await spend(store, "test:bob", SENT, NOT_SENT, LOOKED)
    await spend(store, "test:bob", LOOKED, days=1)
    merged = await store.merging.merge(ann, bob, now=NOW + 5 * 86_400)
    stays, gone = merged.person_id, merged.merged_id
    today, tomorrow = await store.spending.by_day(stays, first=TODAY, last=TODAY + 1)
    assert today.usage == Usage(input_tokens=20, output_tokens=2, model_calls=2, tool_calls=4)
    assert today.tools == [ToolUsage("LOOK", 1, 0, 0.25), ToolUsage("SEND", 3, 1, 2.5)]
    assert tomorrow.tools == [ToolUsage("LOOK", 1, 0, 0.25)]
    assert await store.spending.by_day(gone, first=TODAY, last=TODAY + 1) == []
    assert len(await store.spending.by_day(None, first=TODAY, last=TODAY + 1)) == 2


async def test_a_step_that_was_not_stored_has_no_usage(store: Store) -> None:
    """A tool's use is stored with its result, or not at all."""
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open(NOW)
    await owner.end(turn)
    with pytest.raises(LeaseLost):
        await owner.append(turn, usage=Usage(tool_calls=1), used=SENT)
    assert await store.spending.by_day(person, first=TODAY, last=TODAY) == []


async def test_a_days_reply_counts_are_passed_to_the_next_turn(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open()
    assert (turn.replied, turn.replied_fixed) == (0, 0)
    completed, nothing = TurnStatus.COMPLETED, Usage()
    await store.turns.end(turn, owner.epoch, [], [Reply("stop")], fixed=True, status=completed, usage=nothing, now=NOW)
    await say(store, "m2")
    turn = await owner.open()
    assert (turn.replied, turn.replied_fixed) == (1, 1)
    await store.turns.hold(turn, owner.epoch, until=NOW, problem="x", notice=Reply("wait"), now=NOW)
    turn = await owner.open()
    await store.turns.end(turn, owner.epoch, [], [Reply("one"), Reply("two")], status=completed, usage=nothing, now=NOW)
    await say(store, "m3")
    turn = await owner.open()
    assert (turn.replied, turn.replied_fixed) == (4, 2)
    assert await store.spending.spent_today(person, now=NOW) == 0
    await owner.end(turn)
    await say(store, "m4", now=NOW + 86_400)
    turn = await owner.open(NOW + 86_400)
    assert (turn.replied, turn.replied_fixed) == (0, 0), "another day"
    assert await store.spending.by_day(person, first=TODAY, last=TODAY) == []


async def test_a_merge_adds_up_the_reply_counts(store: Store) -> None:
    ann, bob = await spend(store, "test:ann"), await spend(store, "test:bob")
    stays = (await store.merging.merge(ann, bob, now=NOW)).person_id
    await say(store, "next", "test:ann")
    turn = await (await own(store, stays)).open()
    assert turn.replied == 2
