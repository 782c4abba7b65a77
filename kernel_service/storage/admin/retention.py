"""Retention periods. Old rows are deleted in small steps, so that no writer waits long.

A person (their ids, key, kernel, connections in use, history) is kept until they are forgotten. Messages, their turns
and replies are kept for KEEP_DAYS after they ended; the messages prevent a second answer to a redelivery. Messages to
answer and replies to send are kept regardless of their age.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, delete, exists, not_, select

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.states.message import OPEN
from kernel_service.ports.states.reply import ON_ITS_WAY
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.approvals import standing_permissions
from kernel_service.storage.deleting import forgotten_messages
from kernel_service.storage.people import forgetting
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.schema.connections import (
    CONNECTION_ENDED,
    connect_attempt,
    connection,
    parked_request,
    stray_batch,
    stray_session,
)
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply, reply_part
from kernel_service.storage.schema.people import identity_link
from kernel_service.storage.schema.service import commit_mark, puller
from kernel_service.storage.schema.transitions import is_one_of
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.schema.turns import ITEM_SUPERSEDED, dead_letter, item, turn
from kernel_service.storage.usage import reservations, spending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Column, ColumnElement, Row, Table

    from kernel_service.ports.retention import RetentionPolicy
    from kernel_service.storage.engine.engine import Engine, Tx

KEEP_DAYS: Final = 30
"""WhatsApp redelivers for up to 7 days, so 8 is the safe minimum."""
USAGE_DAYS: Final = 400
IDLE_WRITER_DAYS: Final = 2
FLOOD_SECONDS: Final = 3600.0
"""Longer than a verifier's session can be of use."""
EVENT_SECONDS: Final = 3 * DAY_SECONDS
"""Longer than the tools' vendor may repeat an event."""
STEP: Final = 500


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A table in insertion order: `key` grows with `at` (epoch seconds). Rows are deleted once `ended`."""

    table: Table
    key: Column[Any]
    at: Column[Any]
    ended: ColumnElement[bool]
    first: str | int
    before: Callable[[Tx, list[Row[Any]]], None] = lambda _tx, _rows: None


def _forget_parts(tx: Tx, rows: list[Row[Any]]) -> None:
    tx.execute(_PARTS, {"replies": [row.id for row in rows]})


def _forget_superseded(tx: Tx, rows: list[Row[Any]]) -> None:
    for row in rows:
        if row.joins or row.status == TurnStatus.FAILED:
            tx.execute(_SUPERSEDED, {"person": row.person_id, "of": row.id})


# The vendor has not removed them yet.
_HAS_TRIGGERS = exists().where(trigger.c.connection_id == connection.c.id)
_PARTS = delete(reply_part).where(reply_part.c.reply_id.in_(bindparam("replies", expanding=True)))
_SUPERSEDED = delete(item).where(
    item.c.person_id == bindparam("person"), item.c.turn_id == bindparam("of"), ITEM_SUPERSEDED
)
RULES: Final = (
    RetentionRule(message, message.c.seq, message.c.accepted_at, not_(is_one_of(message.c.status, OPEN)), 0),
    RetentionRule(turn, turn.c.id, turn.c.started_at, turn.c.ended_at.is_not(None), "", _forget_superseded),
    RetentionRule(
        reply,
        reply.c.seq,
        reply.c.created_at,
        # A notice that could not be delivered for that long is obsolete.
        not_(is_one_of(reply.c.state, ON_ITS_WAY)),
        0,
        _forget_parts,
    ),
    RetentionRule(dead_letter, dead_letter.c.id, dead_letter.c.dead_at, dead_letter.c.id.is_not(None), ""),
)


async def forget_old(engine: Engine, policy: RetentionPolicy, *, now: float) -> int:
    """Delete all rows past their retention period; return how many."""
    while await engine.write(lambda tx: reservations.write_off(tx, now)) == reservations.STEP:
        pass
    forgotten = await engine.write(lambda tx: _forget_small(tx, now) + forgotten_messages.forget_old(tx, now))
    for rule in RULES:
        after: Any = rule.first
        while after is not None:
            after, count = await engine.write(_step(rule, after, now - KEEP_DAYS * DAY_SECONDS))
            forgotten += count
    return forgotten + await forgetting.forget_people(engine, policy, now=now)


def _step(rule: RetentionRule, after: str | int, before: float) -> Callable[[Tx], tuple[str | int | None, int]]:
    """Returns a step over the next rows: where to continue (None: the rest is younger), and how many
    rows it deleted.
    """
    window = (
        select(rule.table, rule.at.label("made_at"), rule.ended.label("has_ended"))
        .where(rule.key > bindparam("after"))
        .order_by(rule.key)
        .limit(bindparam("limit", type_=Integer))
    )
    forget = delete(rule.table).where(rule.key.in_(bindparam("keys", expanding=True)))

    def step(tx: Tx) -> tuple[str | int | None, int]:
        rows = tx.execute(window, {"after": after, "limit": STEP}).all()
        old = [row for row in rows if row.made_at < before and row.has_ended]
        if old:
            rule.before(tx, old)
            tx.execute(forget, {"keys": [getattr(row, rule.key.name) for row in old]})
        more = len(rows) == STEP and rows[-1].made_at < before
        return getattr(rows[-1], rule.key.name) if more else None, len(old)

    return step


def _forget_small(tx: Tx, now: float) -> int:
    return sum(tx.execute(statement).rowcount for statement in _small_tables(now))


def _small_tables(now: float) -> Iterator[Any]:
    yield from spending.forgetting(now - USAGE_DAYS * DAY_SECONDS)
    yield delete(identity_link).where(identity_link.c.told_at < now - KEEP_DAYS * DAY_SECONDS)
    yield delete(commit_mark).where(commit_mark.c.at < now - IDLE_WRITER_DAYS * DAY_SECONDS)
    old = now - KEEP_DAYS * DAY_SECONDS
    # A stream that is older must open again.
    yield delete(puller).where(puller.c.changed_at < old)
    yield delete(stray_session).where(stray_session.c.seen_at < now - DAY_SECONDS)
    yield delete(stray_batch).where(stray_batch.c.seen_at < now - FLOOD_SECONDS)
    yield delete(parked_request).where(parked_request.c.created_at < old)
    yield delete(approval).where(approval.c.created_at < old)
    yield delete(connect_attempt).where(connect_attempt.c.created_at < old)
    yield standing_permissions.forgetting()
    yield delete(trigger_event).where(
        trigger_event.c.words.is_(None), trigger_event.c.received_at < now - EVENT_SECONDS
    )
    yield delete(connection).where(
        CONNECTION_ENDED, ~connection.c.remove_due, connection.c.created_at < old, ~_HAS_TRIGGERS
    )
