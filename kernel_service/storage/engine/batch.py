"""Group commit: many units in one transaction, each in its own savepoint, answered together after COMMIT."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from kernel_service.storage.engine.engine import Tx

logger = logging.getLogger(__name__)

BATCH = 64
EX_IOERR = 74


@dataclass(slots=True, eq=False)
class Work:
    """A queued unit. `expires` is in the loop's time; afterwards the unit is not started."""

    unit: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    expires: float = 0.0
    result: Any = None
    error: Exception | None = None


class Refusable(Protocol):
    """A caller that waits for a result."""

    @property
    def future(self) -> asyncio.Future[Any]: ...


def run(tx: Tx, works: Iterable[Work], breaks_batch: Callable[[Exception], bool]) -> None:
    """Run each unit in a savepoint. A unit's error affects only that unit, unless it broke the transaction.

    A unit that lost a race for a unique key runs once more, and then sees the winner's row.
    """
    for work in works:
        if not _attempt(tx, work, breaks_batch):
            _attempt(tx, work, breaks_batch)


def _attempt(tx: Tx, work: Work, breaks_batch: Callable[[Exception], bool]) -> bool:
    """False: the unit lost a race for a unique key."""
    # One name for all savepoints keeps the statements prepared. SQLAlchemy's own savepoints each have a new name.
    tx.connection.exec_driver_sql("SAVEPOINT unit")
    work.result = work.error = None
    try:
        work.result = work.unit(tx)
    except Exception as error:
        if breaks_batch(error):
            raise
        tx.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT unit")
        work.error = error
    tx.connection.exec_driver_sql("RELEASE SAVEPOINT unit")
    return not isinstance(work.error, IntegrityError)


def answer(works: Iterable[Work]) -> None:
    """Give the callers their units' results, after COMMIT. In the loop's thread."""
    for work in works:
        if work.future.done():
            continue
        if work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)


def refuse(works: Iterable[Refusable], error: Callable[[], Exception]) -> None:
    """Tell the callers that nothing was stored. In the loop's thread."""
    for work in works:
        if not work.future.done():
            work.future.set_exception(error())


def end_process(reason: str) -> None:
    """Crash-only: the durable state is unknown, so the next start reads it from the database."""
    logger.critical("storage: %s; the process ends", reason)
    logging.shutdown()
    os._exit(EX_IOERR)
