"""What is looked for all the time is found by a small index, however much a person has written before."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import sqlite

from kernel_service.storage import inbox, people, turn_views, waiting
from kernel_service.storage.store import open_store
from tests.contract.store.conftest import keys

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Select


@pytest.mark.parametrize(
    "statement", [inbox._pending, inbox._SO_FAR, waiting._WAITING, waiting._FIRST, turn_views._WAITING]
)
async def test_open_messages_on_sqlite(tmp_path: Path, statement: Select[tuple[int]]) -> None:
    steps = await plan(tmp_path, statement)
    assert "ix_message_open" in steps
    assert "ix_message_person_id_seq" not in steps


@pytest.mark.parametrize("statement", [people._FOUND, people._NAMED])
async def test_a_person_is_found_by_an_id_in_every_scope(tmp_path: Path, statement: Select[tuple[str]]) -> None:
    assert "ix_alias_channel_digest (channel=? AND digest=?)" in await plan(tmp_path, statement)


async def plan(tmp_path: Path, statement: Select[tuple[int]] | Select[tuple[str]]) -> str:
    file = tmp_path / "kernel.db"
    await (await open_store(f"sqlite:///{file}", keys("k1"))).close()
    asked = str(statement.compile(dialect=sqlite.dialect())).replace("__[POSTCOMPILE_digests]", "?")
    with sqlite3.connect(file) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {asked}", [None] * asked.count("?")).fetchall()
    return "\n".join(step[3] for step in steps)
