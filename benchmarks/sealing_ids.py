"""The cost of sealing the message ids of an earlier release: `python -m benchmarks.sealing_ids [rows]`.

Fills a database of schema 21 with messages, replies and parts whose ids are in clear, opens it as the service does, and
seals them while new messages and redeliveries keep coming. Prints, for SQLite and PostgreSQL: the duration of the start
and of the sealing, the milliseconds of an acceptance before and meanwhile, and the growth of the memory.
"""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, insert, text
from sqlalchemy.pool import NullPool

from benchmarks import databases
from benchmarks.figures import percentile
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.engine.engine import wrap_data_key
from kernel_service.storage.engine.postgres_connections import connect_once
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.opening.migrating import upgrade
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import MasterKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Table

    from kernel_service.storage.store import Store

ROWS = 200_000
PEOPLE = 2_000
CHUNK = 10_000
KEYS = MasterKeys.parse("bench:" + base64.b64encode(os.urandom(32)).decode())
LEFT = "SELECT count(*) FROM {} WHERE {} LIKE 'wamid.%'"
COLUMNS = [
    ("message", "message_id"),
    ("reply", "answers_message_id"),
    ("reply_part", "channel_message_id"),
    ("dead_letter", "message_id"),
]


def wamid(number: int) -> str:
    """An id of the same length as WhatsApp's."""
    return "wamid." + base64.b64encode(f"{number:042}".encode()).decode()


def fill(connection: Connection, rows: int) -> None:
    upgrade(connection, "0021")
    people = [f"p_{n}" for n in range(PEOPLE)]
    keys = [{"id": one, "created_at": 1.0, **wrap_data_key(KEYS, one, os.urandom(32))} for one in people]
    connection.execute(insert(schema.person), keys)
    tables: list[tuple[Table, Callable[[int], dict[str, Any]], int]] = [
        (schema.message, _message, 1),
        (schema.reply, _reply, 1),
        (schema.reply_part, lambda n: {"reply_id": f"rp_{n}", "part": 1, "channel_message_id": wamid(10**9 + n)}, 1),
        (schema.dead_letter, _dead_letter, 100),
    ]
    for table, row, each in tables:
        for first in range(0, rows, CHUNK):
            connection.execute(insert(table), [row(n) for n in range(first, min(first + CHUNK, rows), each)])


def _message(n: int) -> dict[str, Any]:
    return {
        "person_id": f"p_{n % PEOPLE}",
        "channel": "bench",
        "address": "desk",
        "user_digest": b"u" * 32,
        "message_id": wamid(n),
        "payload_digest": b"p" * 32,
        "payload": os.urandom(300),
        "reply_mode": "outbox",
        "accepted_at": 1.0,
        "status": "completed",
        "turn_id": f"t_{n}",
    }


def _reply(n: int) -> dict[str, Any]:
    return {
        "id": f"rp_{n}",
        "person_id": f"p_{n % PEOPLE}",
        "turn_id": f"t_{n}",
        "answers_message_id": wamid(n),
        "channel": "bench",
        "address": "desk",
        "mode": "outbox",
        "state": "sent",
        "body": os.urandom(600),
        "created_at": 1.0,
        "parts": 1,
        "split_version": "1",
    }


def _dead_letter(n: int) -> dict[str, Any]:
    return {
        "id": f"dl_{n}",
        "person_id": f"p_{n % PEOPLE}",
        "message_seq": n + 1,
        "message_id": wamid(n),
        "problem": "poison",
        "dead_at": 1.0,
    }


def _left(connection: Connection) -> list[int]:
    """The number of ids in clear, by column."""
    return [connection.execute(text(LEFT.format(*column))).scalar_one() for column in COLUMNS]


async def on(url: str, work: Callable[[Connection], Any]) -> Any:
    if url.startswith("postgresql"):
        async with connect_once(Server(parse(url))).begin() as connection:
            return await connection.run_sync(work)
    with create_engine(url, poolclass=NullPool).begin() as local:
        return work(local)


async def accepting(store: Store, numbers: Iterator[int], until: Callable[[], bool]) -> list[float]:
    """Milliseconds of each acceptance: alternately a new message and its redelivery."""
    taken = []
    while not until():
        number = next(numbers)
        for again in (False, True):
            began = time.perf_counter()
            message = Message(f"bench:{number % 100}", f"new {number}", Payload(Text("hello")), address="desk")
            accepted = await store.inbox.accept(message, now=time.time(), max_pending=10**9)
            taken.append((time.perf_counter() - began) * 1000)
            if accepted.duplicate is not again:
                raise RuntimeError("a message was accepted twice, or not at all")
        await asyncio.sleep(0.02)
    return taken


async def measure(name: str, url: str, rows: int) -> None:
    await on(url, lambda connection: fill(connection, rows))
    began = time.perf_counter()
    store = await open_store(url, KEYS)
    start = time.perf_counter() - began
    numbers = iter(range(10**9))
    deadline = time.perf_counter() + 3
    before = await accepting(store, numbers, lambda: time.perf_counter() > deadline)
    memory, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    sealing = asyncio.create_task(store.keys.seal_clear_ids())
    meanwhile = await accepting(store, numbers, sealing.done)
    seen, took = await sealing, time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    await store.close()
    left = await on(url, _left)
    print(f"{name}: start {start:.2f} s; {seen} rows looked at in {took:.1f} s; in clear after it {left}")
    for when, taken in (("before", before), ("meanwhile", meanwhile)):
        figures = ", ".join(f"p{share} {percentile(taken, share):.1f}" for share in (50, 95, 99))
        print(f"  acceptance {when}: {figures}, most {max(taken):.1f} ms ({len(taken)})")
    print(f"  memory grew by {grown:.1f} MB")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        for kind in (databases.sqlite, databases.postgres):
            new = stack.enter_context(kind(Path(name)))
            asyncio.run(measure(kind.__name__, new(), rows))


if __name__ == "__main__":
    main()
