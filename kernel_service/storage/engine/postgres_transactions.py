"""The transactions of a writer. Each batch records its number in `commit_mark`.

If the answer to a COMMIT is lost, the batch runs again and finds out whether it is committed already. If necessary it
waits for the row lock of the lost transaction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from kernel_service.storage.engine import postgres_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from kernel_service.storage.engine.engine import Tx

# In one round trip. The values are numbers and an id of ours.
_BEGIN = (
    "BEGIN; {settings}INSERT INTO commit_mark (id, batch, at) VALUES ('{id}', {batch}, {at}) ON CONFLICT (id) DO UPDATE"
    " SET batch = excluded.batch, at = excluded.at WHERE commit_mark.batch <> excluded.batch"
)
_ONE_ROW = "INSERT 0 1"


@dataclass(slots=True)
class Mark:
    """A writer's row in `commit_mark`. `doubtful`: a COMMIT of this batch was sent, and no answer to it has come."""

    id: str
    batch: int = 0
    doubtful: bool = False


class Transactions:
    """Fills `batch.WritingConnection` on a writer's connection."""

    def __init__(self, connection: Connection, mark: Mark, tx: Callable[[Connection], Tx], settings: str) -> None:
        self._connection = connection
        self._mark = mark
        self._tx = tx
        self._settings = settings
        self._is_open = False

    def __enter__(self) -> Tx | None:
        if not self._connection.in_transaction():
            self._connection.begin()  # sets SQLAlchemy's state for the life of the connection, and sends nothing
        begin_tag = self._send(
            _BEGIN.format(settings=self._settings, id=self._mark.id, batch=self._mark.batch, at=time.time())
        )
        self._is_open = begin_tag == _ONE_ROW
        if not self._is_open:
            self._send("ROLLBACK")
            return None
        # Not committed yet, and no other transaction can commit it now: we hold the lock of the mark's row.
        self._mark.doubtful = False
        return self._tx(self._connection)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not self._is_open:
            return
        if error is None:
            self._commit()
        elif isinstance(error, Exception) and not postgres_faults.breaks_batch(error):
            self._send("ROLLBACK")

    def _commit(self) -> None:
        self._mark.doubtful = True
        if self._send("COMMIT") != "COMMIT":
            self._mark.doubtful = False
            raise asyncpg.InterfaceError("the server rolled the transaction back")

    def control(self, *commands: str) -> None:
        self._send("; ".join(commands))

    def breaks_batch(self, error: Exception) -> bool:
        return postgres_faults.breaks_batch(error)

    def contended(self, error: Exception) -> bool:
        return postgres_faults.contended(error)

    def _send(self, commands: str) -> str:
        """Send them in one round trip. Returns the tag of the last one."""
        adapter: Any = self._connection.connection.dbapi_connection
        tag: str = adapter.run_async(lambda driver: driver.execute(commands))
        return tag
