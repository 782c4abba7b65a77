"""The migrations make exactly the schema, once for concurrent starts, and an old program rejects a newer schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, insert, inspect, select, text
from sqlalchemy.pool import NullPool

from kernel_service.storage.engine.postgres_connections import connect_once
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.nodes.schema_guard import SchemaTooNewError
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER, create, migrate, upgrade
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from kernel_service.storage.engine.engine import Tx

    Work = Callable[[Connection], Any]
    Do = Callable[[Work], Awaitable[Any]]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Do:
    """Run a function in a transaction on a database without any migration."""
    return _do(request, tmp_path / "one.db", "empty_postgres_url")


@pytest.fixture
def another_empty_database(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Do) -> Do:
    """Of the same kind."""
    return _do(request, tmp_path / "two.db", "another_empty_postgres_url")


def _do(request: pytest.FixtureRequest, file: Path, url: str) -> Do:
    kind = request.node.callspec.params["empty_database"]
    database = request.getfixturevalue(url) if kind == "postgresql" else ""

    async def do(work: Work) -> Any:
        if kind == "postgresql":
            remote = connect_once(Server(parse(database)))
            async with remote.begin() as connection:
                return await connection.run_sync(work)
        local = create_engine(f"sqlite:///{file}", poolclass=NullPool)
        with local.begin() as connection:
            return work(connection)

    return do


async def test_the_migrations_produce_the_schema(empty_database: Do) -> None:
    def differences(connection: Connection) -> list[object]:
        upgrade(connection)
        # SQLite reports a default in another form than the one it was created with.
        exact = connection.dialect.name == "postgresql"
        context = MigrationContext.configure(connection, opts={"compare_server_default": exact})
        return list(compare_metadata(context, schema.metadata))

    assert await empty_database(differences) == []


async def test_an_empty_database_gets_the_migrated_schema_at_once(
    empty_database: Do, another_empty_database: Do
) -> None:
    def upgraded(connection: Connection) -> Shape:
        upgrade(connection)
        return shape(connection)

    def created(connection: Connection) -> Shape:
        migrate(connection)
        return shape(connection)

    assert await empty_database(created) == await another_empty_database(upgraded)


async def test_a_database_created_at_once_needs_no_migration(empty_database: Do) -> None:
    def twice(connection: Connection) -> bool:
        create(connection)
        before = shape(connection)
        upgrade(connection)
        return shape(connection) == before

    assert await empty_database(twice)


Shape = dict[str, object]
"""Each table's columns, keys, references, checks and indexes as the database reports them, and its rows."""


def shape(connection: Connection) -> Shape:
    return {table: _table(connection, table) for table in inspect(connection).get_table_names()}


def _table(connection: Connection, table: str) -> Shape:
    looked = inspect(connection)
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], str(column["default"]).strip("()"))
        for column in looked.get_columns(table)
    }
    newest = select(schema.schema_version).order_by(schema.schema_version.c.number.desc()).limit(1)
    rows = newest if table == "schema_version" else text(f"SELECT * FROM {table}")  # noqa: S608 - no input
    return {
        "columns": columns,
        "primary key": looked.get_pk_constraint(table),
        "foreign keys": _by_name(looked.get_foreign_keys(table)),
        "unique": _by_name(looked.get_unique_constraints(table)),
        "checks": _by_name(looked.get_check_constraints(table)),
        "indexes": _by_name(looked.get_indexes(table)),
        "rows": sorted(map(tuple, connection.execute(rows))),
    }


def _by_name(found: Sequence[Any]) -> dict[str, object]:
    return {each["name"]: _words(each) for each in found}


def _words(told: object) -> object:
    """With the condition of a partial index, which is an object, as its text."""
    return {key: _words(value) for key, value in told.items()} if isinstance(told, dict) else str(told)


async def test_a_number_of_an_earlier_release_is_silent_since_its_persons_last_message(empty_database: Do) -> None:
    def upgraded(connection: Connection) -> list[tuple[str, float | None]]:
        upgrade(connection, "0018")
        for statement in _TWO_PEOPLE.strip().split(";"):
            connection.execute(text(statement))
        upgrade(connection)
        found = connection.execute(select(schema.alias.c.person_id, schema.alias.c.heard_at).order_by("person_id"))
        return [tuple(row) for row in found]

    assert await empty_database(upgraded) == [("p_gone", None), ("p_here", 20.0), ("p_strong", None)]


_TWO_PEOPLE = """
INSERT INTO person (id, created_at, data_key, key_id) VALUES
    ('p_here', 1, '', ''), ('p_gone', 1, '', ''), ('p_strong', 1, '', '');
INSERT INTO alias (channel, scope, digest, person_id, strong, value, created_at) VALUES
    ('test', '', '1', 'p_here', false, '', 1), ('test', '', '2', 'p_gone', false, '', 1),
    ('test', '', '3', 'p_strong', true, '', 1);
INSERT INTO message (person_id, channel, address, user_digest, message_id, payload_digest, reply_mode, payload,
    accepted_at, status) VALUES
    ('p_here', 'test', '', '1', 'm1', '', 'inline', '', 10, 'completed'),
    ('p_here', 'test', '', '1', 'm2', '', 'inline', '', 20, 'completed'),
    ('p_strong', 'test', '', '3', 'm1', '', 'inline', '', 30, 'completed')
"""


@pytest.mark.parametrize(("oldest_reader", "refused"), [(SCHEMA_NUMBER, False), (SCHEMA_NUMBER + 1, True)])
async def test_a_newer_schema_is_used_only_if_it_allows(
    database_url: str, oldest_reader: int, *, refused: bool
) -> None:
    def migrate_further(tx: Tx) -> None:
        row = {"number": SCHEMA_NUMBER + 1, "oldest_reader": oldest_reader}
        tx.execute(insert(schema.schema_version), row)

    store = await open_store(database_url, keys("test"))
    await store.engine.write(migrate_further)
    await store.close()
    if refused:
        with pytest.raises(SchemaTooNewError, match="upgrade"):
            await open_store(database_url, keys("test"))
    else:
        await (await open_store(database_url, keys("test"))).close()


async def test_usage_from_before_the_common_sums_counts(empty_database: Do) -> None:
    def spend_under_an_earlier_schema(connection: Connection) -> list[Any]:
        upgrade(connection, "0013")
        for name, tokens in (("p_ann", 10), ("p_bob", 5)):
            person = {"id": name, "created_at": 1.0, "data_key": b"key", "key_id": "test"}
            connection.execute(insert(schema.person), person)
            connection.execute(insert(schema.usage), {"person_id": name, "day": 3, "input_tokens": tokens})
        migrate(connection)
        sums = schema.usage_of_all
        return list(map(tuple, connection.execute(select(sums.c.day, sums.c.input_tokens, sums.c.output_tokens))))

    assert await empty_database(spend_under_an_earlier_schema) == [(3, 15, 0)]


async def test_clear_ids_of_an_earlier_schema_are_left_to_the_running_service(empty_database: Do) -> None:
    def write_under_an_earlier_schema(connection: Connection) -> list[Any]:
        upgrade(connection, "0021")
        person = {"id": "p_ann", "created_at": 1.0, "data_key": b"key", "key_id": "test"}
        connection.execute(insert(schema.person), person)
        message = {"person_id": "p_ann", "channel": "test", "address": "", "message_id": "wamid.1", "accepted_at": 1.0}
        sealed = {"user_digest": b"user", "payload_digest": b"payload", "payload": b"sealed"}
        connection.execute(insert(schema.message), message | sealed | {"reply_mode": "inline", "status": "accepted"})
        migrate(connection)
        return sorted(map(tuple, connection.execute(select(schema.backfill))))

    assert await empty_database(write_under_an_earlier_schema) == [(name, 0) for name in ("message", "reply", "vacuum")]


async def test_a_question_of_an_earlier_schema_keeps_its_button(empty_database: Do) -> None:
    def ask_under_an_earlier_schema(connection: Connection) -> list[Any]:
        upgrade(connection, "0020")
        person = {"id": "p_ann", "created_at": 1.0, "data_key": b"key", "key_id": "test"}
        connection.execute(insert(schema.person), person)
        asked = {"id": "ap_1", "person_id": "p_ann", "turn_id": "t_1", "call_id": "c1", "tool": "SEND"}
        times = {"created_at": 1.0, "expires_at": 2.0}
        connection.execute(insert(schema.approval), asked | times | {"arguments": b"sealed", "digest": b"digest"})
        migrate(connection)
        kept = schema.approval
        return list(map(tuple, connection.execute(select(kept.c.id, kept.c.question_id))))

    assert await empty_database(ask_under_an_earlier_schema) == [("ap_1", "ap_1")]
