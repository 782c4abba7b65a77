"""The migrations make exactly the schema, once however many start, and an old program leaves a newer one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert

from kernel_service.storage import schema
from kernel_service.storage.migrating import SCHEMA_NUMBER, SchemaTooNewError
from kernel_service.storage.store import open_store
from tests.contract.store.conftest import keys

if TYPE_CHECKING:
    from kernel_service.storage.engine import Tx
    from kernel_service.storage.sql_store import SqlStore


async def test_the_migrations_make_the_schema(store: SqlStore) -> None:
    def differences(tx: Tx) -> list[object]:
        # SQLite gives a default back in other words than it was made with.
        exact = tx.connection.dialect.name == "postgresql"
        context = MigrationContext.configure(tx.connection, opts={"compare_server_default": exact})
        return list(compare_metadata(context, schema.metadata))

    assert await store._engine.read(differences) == []


@pytest.mark.parametrize(("oldest_reader", "refused"), [(SCHEMA_NUMBER, False), (SCHEMA_NUMBER + 1, True)])
async def test_a_newer_schema_is_worked_on_only_if_it_allows(
    database_url: str, oldest_reader: int, *, refused: bool
) -> None:
    def migrate_further(tx: Tx) -> None:
        row = {"number": SCHEMA_NUMBER + 1, "oldest_reader": oldest_reader}
        tx.execute(insert(schema.schema_version), row)

    store = await open_store(database_url, keys("test"))
    await store._engine.write(migrate_further)
    await store.close()
    if refused:
        with pytest.raises(SchemaTooNewError, match="upgrade"):
            await open_store(database_url, keys("test"))
    else:
        await (await open_store(database_url, keys("test"))).close()
