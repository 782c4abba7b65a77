"""Connections to SQLite that are kept, each with its transactions, one after another."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from kernel_service.storage.engine import sqlite_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.engine.statements import Statements

OWN_TRANSACTIONS = "own_transactions"
"""The option of a connection whose transactions are begun and ended here, and not by SQLAlchemy."""


class Transactions:
    """A connection that is kept, so that the pages it read stay in memory. Only in one thread.

    As a context it is a transaction, which commits unless an error leaves the block.
    """

    _BEGIN = "BEGIN"
    _SETTINGS: tuple[str, ...] = ()

    def __init__(self, database: Engine, statements: Statements, make_tx: Callable[[Connection], Tx]) -> None:
        self._database = database
        self._statements = statements
        self._make_tx = make_tx
        self._tx: Tx | None = None

    def __enter__(self) -> Tx:
        tx = self._tx or self.connect()
        tx.cursor.execute(self._BEGIN)
        return tx

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        tx = self._tx or self.connect()
        if error is not None:
            _roll_back(tx)
            return
        try:
            tx.cursor.execute("COMMIT")
        except sqlite3.Error as failed:
            _roll_back(tx)
            raise self._statements.failure(tx.connection, "COMMIT", failed) from failed

    def connect(self) -> Tx:
        """All transactions of a connection are one object."""
        if self._tx is None:
            connection = self._database.connect().execution_options(**{OWN_TRANSACTIONS: True})
            connection.begin()  # sets SQLAlchemy's state for the life of the connection, and sends nothing
            self._tx = self._make_tx(connection)
            for setting in self._SETTINGS:
                self._tx.cursor.execute(setting)
        return self._tx

    def disconnect(self) -> None:
        """The next transaction has a new connection."""
        tx, self._tx = self._tx, None
        if tx is not None:
            tx.connection.invalidate()
            tx.connection.close()


def _roll_back(tx: Tx) -> None:
    """End the transaction, unless its error has ended it."""
    if tx.cursor.connection.in_transaction:
        # On this cursor, because that ends its last statement, too. One that stopped at a damaged row would keep its
        # snapshot, and the log beside the file would grow.
        tx.cursor.execute("ROLLBACK")


class Writer(Transactions):
    """Fills `batch.WritingConnection`."""

    _BEGIN = "BEGIN IMMEDIATE"
    # For the pages that a savepoint restores: by default, a group of many pages makes a file for them.
    _SETTINGS = ("PRAGMA temp_store = MEMORY",)

    def control(self, *commands: str) -> None:
        cursor = self.connect().cursor
        for command in commands:
            cursor.execute(command)

    def breaks_batch(self, error: Exception) -> bool:
        return sqlite_faults.breaks_batch(error)

    def contended(self, _: Exception) -> bool:
        return False  # this is the only process that writes
