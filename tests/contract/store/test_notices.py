"""Notices between processes of one PostgreSQL: carried while the connection lives, lost without harm otherwise."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.engine import postgres_notices
from kernel_service.storage.engine.postgres_notices import MOST_WAITING, PAYLOAD_BYTES, PostgresNotices
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from tests.contract.store.conftest import command
from tests.line import line_to
from tests.postgres_servers import bouncer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.storage.store import Store

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kernel_service notices'"


class Process:
    """A transport of one process, with what it received."""

    def __init__(self, transport: PostgresNotices, name: str) -> None:
        self.transport, self.name = transport, name
        self.heard: list[str] = []
        self.missed = 0
        self._changed = asyncio.Event()
        transport.receive(name, self._hear, self._miss)

    def _hear(self, text: str) -> None:
        self.heard.append(text)
        self._changed.set()

    def _miss(self) -> None:
        self.missed += 1
        self._changed.set()

    async def until(self, *, heard: int = 0, missed: int = 0) -> None:
        while len(self.heard) < heard or self.missed < missed:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)


@asynccontextmanager
async def processes(*urls: str) -> AsyncIterator[list[Process]]:
    running = [
        Process(await PostgresNotices.connect(Server(parse(url))), f"k_{number}") for number, url in enumerate(urls)
    ]
    for one in running:
        await one.until(missed=1)
    yield running
    for one in running:
        await one.transport.close()


async def test_one_or_all_others_hear_it_and_never_the_sender(postgres_url: str) -> None:
    async with processes(postgres_url, postgres_url, postgres_url) as (one, two, three):
        one.transport.send("k_1", "for two")
        one.transport.send("", "for all others")
        one.transport.send("k_0", "for itself")
        one.transport.send("k_9", "for nobody")
        await asyncio.gather(two.until(heard=2), three.until(heard=1))
        two.transport.send("k_0", "back")
        await one.until(heard=1)
        assert (two.heard, three.heard, one.heard) == (["for two", "for all others"], ["for all others"], ["back"])


async def test_many_texts_share_commands_and_are_split_by_size(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(postgres_url, postgres_url) as (one, two):
        queries: list[str] = []
        assert one.transport._connection is not None
        one.transport._connection.add_query_logger(lambda record: queries.append(record.query))
        texts = [f"{number} {'é' * 200}" for number in range(300)]
        longest = "x" * (PAYLOAD_BYTES - len("k_0") - 1)
        for text in (*texts, longest, longest + "x", "last"):
            one.transport.send("k_1", text)
        await two.until(heard=302)
        assert two.heard == [*texts, longest, "last"]
        assert len(queries) <= 2
        assert one.transport.dropped == 1


async def test_a_cut_connection_is_made_again_and_everything_is_looked_at(postgres_url: str) -> None:
    async with processes(postgres_url, postgres_url) as (one, two):
        for times in (2, 3):
            await command(postgres_url, f"{CUT} AND datname = current_database()")
            await asyncio.gather(one.until(missed=times), two.until(missed=times))
            one.transport.send("k_1", f"after cut {times}")
            await two.until(heard=times - 1)


async def test_a_flood_during_an_outage_keeps_the_newest(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgres_notices, "_FIRST_PAUSE_SECONDS", 0.01)
    async with line_to(postgres_url) as (line, url), processes(url, postgres_url) as (one, two):
        lost, log_outage = asyncio.Event(), one.transport._outage.failed

        def failed(why: str) -> None:
            log_outage(why)
            lost.set()

        monkeypatch.setattr(one.transport._outage, "failed", failed)
        line.down = True
        line.break_all()
        for number in range(3 * MOST_WAITING):
            one.transport.send("", str(number))
            if number == 5:
                await lost.wait()
        assert 2 * MOST_WAITING - 6 <= one.transport.dropped <= 2 * MOST_WAITING
        line.down = False
        await one.until(missed=2)
        await two.until(heard=MOST_WAITING)
        assert two.heard[-MOST_WAITING:] == [str(number) for number in range(2 * MOST_WAITING, 3 * MOST_WAITING)]
    assert sum("cannot exchange notices" in record.getMessage() for record in caplog.records) == 1


async def test_a_silent_connection_that_is_dead_is_noticed(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that drops every packet reports nothing, so the connection is tried from time to time."""
    monkeypatch.setattr(postgres_notices, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(postgres_notices, "ANSWER_SECONDS", 0.2)
    async with line_to(postgres_url) as (line, url), processes(url) as (one,):
        line.go_silent()
        async with asyncio.timeout(20):
            while one.transport._connection is not None:
                await asyncio.sleep(0)
        line.speak()
        await one.until(missed=2)


async def test_closing_sends_what_waits(postgres_url: str) -> None:
    async with processes(postgres_url, postgres_url) as (one, two):
        one.transport.send("", "farewell")
        await one.transport.close()
        await two.until(heard=1)


async def test_closing_during_an_outage_does_not_wait(postgres_url: str) -> None:
    async with line_to(postgres_url) as (line, url), processes(url) as (one,):
        line.down = True
        line.break_all()
        one.transport.send("", "lost")
        async with asyncio.timeout(20):
            while one.transport._connection is not None:
                await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await one.transport.close()


@pytest.mark.parametrize("payload", ["", "\n", "k_9", "k_9\nnot json", "k_9\n\n\n", "k_0\nforged", "\x7f" * 7999])
async def test_foreign_payloads_do_no_harm(postgres_url: str, payload: str) -> None:
    async with processes(postgres_url, postgres_url) as (one, two):
        literal = payload.replace("'", "''")
        await command(postgres_url, f"SELECT pg_notify('kernel_notices_', E'{literal}')")
        two.transport.send("k_0", "next")
        while "next" not in one.heard:
            await one.until(heard=len(one.heard) + 1)


async def test_a_pooler_with_dedicated_sessions_carries_them(postgres_url: str) -> None:
    with bouncer(postgres_url, "session") as running:
        async with processes(running.url, postgres_url) as (one, two):
            one.transport.send("", "hello")
            two.transport.send("k_0", "hello back")
            await asyncio.gather(one.until(heard=1), two.until(heard=1))


async def test_one_process_alone_has_no_transport(store: Store, database_url: str) -> None:
    assert (store.engine.notices is None) is database_url.startswith("sqlite")
