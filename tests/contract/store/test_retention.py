"""Old rows are deleted; unfinished work, and the person, are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.outbox import Outcome, PartAck
from kernel_service.ports.turns import ToolUse, TurnStatus
from kernel_service.storage.admin import retention
from kernel_service.storage.schema import schema
from tests.contract.store.outbox import pull
from tests.contract.store.owner import ASKS, HELLO, NOW, history, own, say

if TYPE_CHECKING:
    import pytest

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

DAY = 86_400.0
LATER = NOW + (retention.KEEP_DAYS + 1) * DAY


async def rows(store: Store, *names: str) -> dict[str, int]:
    def count(tx: Tx) -> dict[str, int]:
        tables = [schema.metadata.tables[name] for name in names]
        return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}

    return await store.engine.read(count)


async def answer(store: Store, name: str, *, now: float = NOW, user: str = "test:ann") -> str:
    """One message with its turn, usage, and a reply that was sent."""
    person = await say(store, name, user, now=now, reply_mode=ReplyMode.OUTBOX)
    owner = await own(store, person)
    turn = await owner.open(now)
    await store.turns.end(
        turn, owner.epoch, [HELLO], [Reply("done")], status=TurnStatus.COMPLETED, usage=Usage(model_calls=1), now=now
    )
    for lease in await pull(store, limit=9, seconds=60, now=now):
        ack = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, f"wamid-{name}")
        await store.outbox.settle("test", [ack], now=now)
    return person


async def test_finished_rows_are_deleted_after_their_retention(store: Store) -> None:
    person = await answer(store, "old")
    await answer(store, "young", now=LATER - DAY)
    await store.retention.forget_old(now=NOW + DAY)
    assert (await rows(store, "message"))["message"] == 2
    await store.retention.forget_old(now=LATER)
    assert await rows(store, "message", "turn", "reply", "reply_part") == {
        "message": 1,
        "turn": 1,
        "reply": 1,
        "reply_part": 1,
    }
    # The person, their messages and their usage are kept.
    assert await history(store, person) == [HELLO, HELLO]
    assert await rows(store, "person", "alias", "kernel", "usage") == {"person": 1, "alias": 1, "kernel": 1, "usage": 2}


async def test_a_message_stays_known_while_it_may_be_redelivered(store: Store) -> None:
    await answer(store, "m1")
    await store.retention.forget_old(now=NOW + 8 * DAY)
    await say(store, "m1", now=NOW + 8 * DAY, reply_mode=ReplyMode.OUTBOX)
    assert (await rows(store, "message"))["message"] == 1


async def test_unfinished_work_is_never_too_old(store: Store) -> None:
    owner = await own(store, await say(store, "running"))
    await owner.open()
    await say(store, "waiting", "test:bob")
    await store.retention.forget_old(now=LATER)
    assert await rows(store, "message", "turn") == {"message": 2, "turn": 1}


async def test_superseded_items_are_deleted_with_their_turn(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    await owner.append(await owner.open(), HELLO, ASKS)
    await say(store, "m2")
    turn = await owner.open()
    await owner.end(turn, HELLO)
    assert (await rows(store, "item"))["item"] == 3
    await store.retention.forget_old(now=LATER)
    assert (await rows(store, "item"))["item"] == 1


async def test_usage_and_dead_letters_have_their_own_retention(store: Store) -> None:
    person = await answer(store, "m1")
    await say(store, "m2")
    owner = await own(store, person)
    await store.turns.give_up(await owner.open(), owner.epoch, [], [], problem="x", now=NOW)
    await store.retention.forget_old(now=NOW + (retention.USAGE_DAYS + 2) * DAY)
    assert await rows(store, "usage", "dead_letter", "message") == {"usage": 0, "dead_letter": 0, "message": 0}


async def test_small_steps_reach_every_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 3)
    for number in range(10):
        await answer(store, f"m{number}", user=f"test:p{number}")
    await say(store, "open", "test:p3")
    await store.retention.forget_old(now=LATER)
    assert await rows(store, "message", "turn", "reply") == {"message": 1, "turn": 0, "reply": 0}


async def test_usage_is_kept_for_its_own_retention(store: Store) -> None:
    person = await say(store, "m1")
    owner = await own(store, person)
    turn = await owner.open(NOW)
    await owner.append(turn, usage=Usage(tool_calls=1), used=ToolUse("SEND", failed=False, seconds=1.0))
    await store.retention.forget_old(now=NOW + retention.USAGE_DAYS * DAY)
    assert await rows(store, "usage", "tool_usage") == {"usage": 1, "tool_usage": 1}
    await store.retention.forget_old(now=NOW + (retention.USAGE_DAYS + 1) * DAY)
    assert await rows(store, "usage", "tool_usage") == {"usage": 0, "tool_usage": 0}
