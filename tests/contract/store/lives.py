"""People with a value in every sealed column, and with at least two where a person can have two."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.kernels import PackedTurns
from kernel_service.ports.messages import Alias, Message, Reply, Usage
from kernel_service.ports.payloads import Image, Payload
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.keys.resealing import place_of, sealed_columns
from kernel_service.storage.schema import schema
from kernel_service.storage.turns import packed_turns
from tests.contract.store.owner import ASKS, FOUND, HELLO, NOW, move, own
from tests.contract.store.people import connect
from tests.contract.store.watching import event, receive, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import Place
    from kernel_service.storage.store import Store

DAILY = NewSchedule(ScheduleKind.REMIND, "water the plants", "test", "desk", "Europe/Vienna", cron="0 9 * * *")
SEALED = [column for table in schema.metadata.sorted_tables for column in sealed_columns(table)]


async def live(store: Store, name: str) -> str:
    """The person, whose second message is not answered yet."""
    person_id = await _say(store, name, 1)
    await move(store, person_id, "Europe/Vienna")
    for number in (1, 2):
        await connect(store, person_id, ConnectionStatus.PENDING)
        await store.schedules.create(person_id, DAILY, request_id=f"r{number}", now=NOW)
        await store.memory.remember(person_id, f"fact {number}", now=NOW)
        await store.memory.move_to(person_id, "Asia/Tokyo")
        await _answer(store, name, person_id, number)
        await _say(store, name, number + 1)
    packed = PackedTurns(b"io", 10, (b"packed",))
    await store.engine.write(lambda tx: packed_turns.keep(tx, person_id, "test:model", packed, last=1))
    for number in (1, 2):
        account = await connect(store, person_id)
        await watching(store, account, f"ti_{name}{number}")
        happened = replace(event(account, number, f"ti_{name}{number}"), id=f"msg_{name}{number}")
        await receive(store, happened)
    return person_id


async def _say(store: Store, name: str, number: int) -> str:
    image = Image("image/png", data=b"\x89PNG\r\n\x1a\n" + bytes(300_000))
    ids = (Alias(f"test:{name}"), Alias(f"test:{name} too"))
    said = Message(ids[0].user_id, f"{name} {number}", Payload(image), aliases=ids, address="desk")
    return (await store.inbox.accept(said, now=NOW, max_pending=100)).person_id


async def _answer(store: Store, name: str, person_id: str, number: int) -> None:
    owner = await own(store, person_id)
    turn = await owner.open()
    await store.files.keep_transcript(turn.messages[0].payload.media_id, "what was heard", Usage(), now=NOW)
    asked = Approval(f"ap_{name}{number}", "c1", "tool", {"to": "somebody"}, NOW + 60)
    parked = ParkedRequest("asana", f"what waits {number}")
    await store.turns.end(
        turn, owner.epoch, [HELLO, ASKS, FOUND], [Reply("done")], status=TurnStatus.COMPLETED, usage=Usage(),
        parked=[parked], prompts=[ApprovalPrompt((asked,), "")], now=NOW,
    )  # fmt: skip


class Value(NamedTuple):
    """A sealed value as it is in the database."""

    column: Column[Any]
    person_id: str
    place: Place
    sealed: bytes


def values(tx: Tx) -> Iterator[Value]:
    """All of them."""
    owners = {row.id: row.person_id for row in tx.execute(select(schema.media))}
    for column in SEALED:
        for row in tx.execute(select(column.table)):
            sealed = getattr(row, column.name)
            if sealed:
                person_id = owners[row.media_id] if column.table is schema.media_chunk else row.person_id
                yield Value(column, person_id, place_of(column, row), sealed)
