"""`python -m benchmarks.cluster`: what several kernel services on one PostgreSQL cost, and what one person stores.

- The CPU per message with three nodes over that with one, in alternate rounds, and the share of PostgreSQL.
- The messages answered per second with one, two and three nodes, as fast as this machine can.
- The bytes that a message leaves in PostgreSQL: tables, indexes, and write-ahead log.
- The time from SIGTERM to the end of a node with many idle people.
- The refused webhooks and the latencies while each of three nodes is replaced in turn.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import uvloop

from benchmarks import databases, load
from benchmarks.answering import compare
from benchmarks.figures import percentile
from benchmarks.processes import tree_cpu_seconds
from benchmarks.systems import pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.systems import System

NODES = (1, 2, 3)
PEOPLE = 200
EACH = 5
RATE, MESSAGES, ROUNDS = 50.0, 400, 3
AT_ONCE, SECONDS = 64, 8.0
IDLE = 3_000
ROLLING_SECONDS = 20.0
_LOG = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
_SIZES = """
    SELECT relname, pg_table_size(oid) AS rows, pg_indexes_size(oid) AS indexes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


def main() -> None:
    wanted = sys.argv[1:] or ["ratio", "throughput", "stored", "drain", "rolling"]
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with databases.postgres(folder) as new_database:
            parts = {"ratio": ratio, "throughput": throughput, "stored": stored, "drain": drained, "rolling": rolling}
            for part in wanted:
                urls = [new_database() for _ in NODES]
                uvloop.run(parts[part](folder, urls))


async def ratio(folder: Path, urls: list[str]) -> None:
    server = _postmaster(folder)
    async with AsyncExitStack() as stack:
        three, one = [
            await stack.enter_async_context(pair(folder, url, people=PEOPLE, debounce=0.0, nodes=nodes))
            for nodes, url in ((3, urls[0]), (1, urls[1]))
        ]
        for system in (three, one):
            await system.warm_up()
        before = tree_cpu_seconds(server)
        told = await compare(three, one, rate=RATE, messages=MESSAGES, rounds=ROUNDS)
        database = (tree_cpu_seconds(server) - before) / (2 * ROUNDS * MESSAGES) * 1000
    rounds = ", ".join(f"{each:.2f}" for each in told.cpu_ratio.rounds)
    print(f"CPU per message, three nodes over one: {told.cpu_ratio.median:.2f} ({rounds})")
    for name, each in (("three nodes", told.pair), ("one node", told.bare)):
        print(
            f"{name}: {each.cpu.median:.2f} ms of CPU, p50 {each.p50.median:.0f} ms,"
            f" p99 {each.p99.median:.0f} ms, {each.unanswered} unanswered"
        )
        for part, figure in sorted(each.parts.items()):
            print(f"    {part}: {figure.median:.2f} ms")
    print(f"PostgreSQL: {database:.2f} ms of CPU per message (both together)")


async def throughput(folder: Path, urls: list[str]) -> None:
    server = _postmaster(folder)
    for nodes, url in zip(NODES, urls, strict=True):
        async with pair(folder, url, people=PEOPLE, debounce=0.0, nodes=nodes) as system:
            await system.warm_up()
            database, services = tree_cpu_seconds(server), system.cpu_seconds()
            answered, seconds = await _as_fast_as_possible(system)
            database = (tree_cpu_seconds(server) - database) / answered * 1000
            services = (system.cpu_seconds() - services) / answered * 1000
            print(
                f"{nodes} nodes: {answered / seconds:.0f} messages answered per second; {services:.2f} ms of CPU for"
                f" the services, {database:.2f} ms for PostgreSQL each"
            )


async def _as_fast_as_possible(system: System) -> tuple[int, float]:
    """The number of answered messages and the seconds from the first webhook to the last answer."""
    before = len(system.vendors.sent)
    requests = (request for _, request in system.messages())
    outcome = await load.closed(system.client, requests, at_once=AT_ONCE, seconds=SECONDS)
    await system.quiet()
    return len(system.vendors.sent) - before, max(system.vendors.sent.values()) - outcome.began


async def stored(folder: Path, urls: list[str]) -> None:
    async with pair(folder, urls[0], people=PEOPLE, debounce=0.0) as system, _connected(urls[0]) as connection:
        await system.warm_up()
        sizes, log = await _sizes(connection), await connection.fetchval(_LOG)
        times = [number / RATE for number in range(EACH * PEOPLE)]
        markers, requests = system.written_at(times)
        await load.opened(system.client, requests, times)
        await system.quiet()
        log = await connection.fetchval(_LOG) - log
        grown = {table: size - sizes[table] for table, size in (await _sizes(connection)).items()}
    answered = sum(marker in system.vendors.sent for marker in markers)
    print(f"{answered} messages of {len(markers)} answered; bytes that each leaves:")
    for (table, kind), size in sorted(grown.items()):
        if size:
            print(f"    {table} {kind}: {size / answered:.0f}")
    print(f"    log: {log / answered:.0f}")


async def _sizes(connection: asyncpg.Connection) -> Counter[tuple[str, str]]:
    """Bytes of each table and of its indexes, after what is dead was removed."""
    await connection.execute("VACUUM FULL")
    sizes: Counter[tuple[str, str]] = Counter()
    for row in await connection.fetch(_SIZES):
        for kind in ("rows", "indexes"):
            sizes[row["relname"], kind] = row[kind]
            sizes["together", kind] += row[kind]
    return sizes


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def drained(folder: Path, urls: list[str]) -> None:
    async with pair(folder, urls[0], people=IDLE, debounce=0.0) as system:
        await system.warm_up()
        kernel = system.processes[-1]
        began = time.monotonic()
        await kernel.end()
        print(f"a node with {IDLE} idle people ends {time.monotonic() - began:.2f} s after SIGTERM")


async def rolling(folder: Path, urls: list[str]) -> None:
    async with pair(folder, urls[0], people=PEOPLE, debounce=0.0, nodes=3) as system:
        await system.warm_up()
        times = [number / RATE for number in range(int(RATE * ROLLING_SECONDS))]
        markers, requests = system.written_at(times)
        sending = asyncio.create_task(load.opened(system.client, requests, times))
        began = time.monotonic()
        for kernel in system.processes[1:]:
            await kernel.replace()
        seconds = time.monotonic() - began
        outcome = await sending
        await system.quiet()
    sent = system.vendors.sent
    waits = [sent[marker] - outcome.began - at for marker, at in zip(markers, times, strict=True) if marker in sent]
    print(f"three nodes replaced within {seconds:.0f} s under {RATE:.0f} messages per second")
    print(f"    webhooks: {outcome.refused} refused, p99 {percentile(outcome.latencies, 99) * 1000:.0f} ms")
    print(f"    answers: p50 {percentile(waits, 50) * 1000:.0f} ms, p99 {percentile(waits, 99) * 1000:.0f} ms")
    print(f"    {len(markers) - len(waits)} of {len(markers)} messages shared an answer")


def _postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


if __name__ == "__main__":
    main()
