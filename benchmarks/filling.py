"""Fills a database with what years of use leave: other people, their messages, or the long histories of known people.

Rows are copied from those of one real message. No process reads the values of the copies, which stay sealed for the
rows that they come from. Only histories are read, so their items are sealed again.
"""

from __future__ import annotations

import itertools
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import insert, select

from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.outbox import reply, reply_part
from kernel_service.storage.schema.people import alias, person
from kernel_service.storage.schema.turns import item, turn
from kernel_service.storage.sealing.ciphers import MasterKeys
from kernel_service.storage.turns.items import item_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Table

    from kernel_service.storage.engine.engine import Engine, Tx
    from kernel_service.storage.store import Store

ENCRYPTION_KEYS: Final = "benchmark:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
"""Of every database of the benchmarks."""
_ROWS_AT_ONCE: Final = 2000
_TABLES: Final = (person, alias, kernel, message, turn, item, reply, reply_part)

Row: TypeAlias = "dict[str, Any]"
Sample: TypeAlias = "dict[Table, list[Row]]"


async def add_people(database_url: str, many: int) -> None:
    """This many people, each with the rows of a known person who has written once."""
    await _fill(database_url, many, messages_each=1)


async def add_messages(database_url: str, many: int) -> None:
    """This many messages, each with a turn, an item of history and a reply, of a hundred people."""
    await _fill(database_url, 100, messages_each=many // 100)


async def add_turns(database_url: str, many: int) -> None:
    """This many earlier turns for each stored person."""
    store = await _open(database_url)
    try:
        for one in await _read(store.engine, person):
            await store.engine.write(partial(_repeat_history, person_id=one["id"], turns=many))
    finally:
        await store.engine.close()


async def _fill(database_url: str, people: int, *, messages_each: int) -> None:
    store = await _open(database_url)
    try:
        sample = {table: await _read(store.engine, table) for table in _TABLES}
        owners = [f"p_copy{number}" for number in range(people)]
        written = [(owner, number) for owner in owners for number in range(messages_each)]
        for table, rows in (_of_people(sample, owners) | _of_messages(sample, written)).items():
            await _insert(store.engine, table, rows)
    finally:
        await store.engine.close()


def _of_people(sample: Sample, owners: Sequence[str]) -> dict[Table, Iterator[Row]]:
    one = sample[person][0]
    return {
        person: (one | {"id": owner} for owner in owners),
        alias: (
            row | {"person_id": owner, "digest": os.urandom(32)}
            for owner in owners
            for row in sample[alias]
            if row["person_id"] == one["id"]
        ),
        kernel: (sample[kernel][0] | {"person_id": owner} for owner in owners),
    }


def _of_messages(sample: Sample, written: Sequence[tuple[str, int]]) -> dict[Table, Iterator[Row]]:
    """`written`: the owner of each message, and its number among theirs."""
    said, answer = sample[message][0], sample[reply][0]
    first_message, first_reply = _next_seq(sample[message]), _next_seq(sample[reply])
    return {
        message: (
            said
            | {"seq": seq, "person_id": owner, "turn_id": f"t_{owner}_{number}"}
            | {"message_id": f"m_{owner}_{number}", "user_digest": os.urandom(32)}
            for seq, (owner, number) in enumerate(written, first_message)
        ),
        turn: (sample[turn][0] | {"id": f"t_{owner}_{number}", "person_id": owner} for owner, number in written),
        item: (
            sample[item][0] | {"person_id": owner, "turn_id": f"t_{owner}_{number}", "seq": number + 1}
            for owner, number in written
        ),
        reply: (
            answer | {"seq": seq, "id": f"r_{owner}_{number}", "person_id": owner, "turn_id": f"t_{owner}_{number}"}
            for seq, (owner, number) in enumerate(written, first_reply)
        ),
        reply_part: (
            sample[reply_part][0] | {"reply_id": f"r_{owner}_{number}", "channel_message_id": f"c_{owner}_{number}"}
            for owner, number in written
        ),
    }


def _next_seq(rows: Iterable[Row]) -> int:
    return max(int(row["seq"]) for row in rows) + 1


def _repeat_history(tx: Tx, person_id: str, turns: int) -> None:
    """Repeat the items of the person, who has written once, as those of more turns."""
    rows = [row._asdict() for row in tx.execute(select(item).where(item.c.person_id == person_id)).all()]
    cipher = tx.cipher_of(person_id)
    said = [cipher.open_json(row["data"], item_place(person_id, row["seq"])) for row in rows]
    copies = (
        row
        | {"turn_id": f"t_{person_id}_{number}", "seq": seq}
        | {"data": cipher.seal_json(data, item_place(person_id, seq))}
        for seq, (number, (row, data)) in enumerate(
            itertools.product(range(turns), zip(rows, said, strict=True)), _next_seq(rows)
        )
    )
    for some in _batched(copies):
        tx.execute(insert(item), some)


async def _open(database_url: str) -> Store:
    return await open_store(database_url, MasterKeys.parse(ENCRYPTION_KEYS))


async def _read(engine: Engine, table: Table) -> list[Row]:
    rows: list[Row] = await engine.read(lambda tx: [row._asdict() for row in tx.execute(select(table)).all()])
    return rows


async def _insert(engine: Engine, table: Table, rows: Iterable[Row]) -> None:
    for some in _batched(rows):
        await engine.write(partial(_insert_all, table=table, rows=some))


def _insert_all(tx: Tx, table: Table, rows: list[Row]) -> None:
    tx.execute(insert(table), rows)


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        yield some
