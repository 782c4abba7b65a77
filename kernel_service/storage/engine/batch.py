"""Group commit: many units in one transaction, answered together after COMMIT.

Nearly all units succeed, so a group runs without savepoints. If a unit fails, the group is rolled back and runs once
more, with a savepoint for each unit. A unit that is blocked by a lock of another process is repeated in the next group:
see `WritingConnection.contended`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from kernel_service.storage.engine.engine import Tx

logger = logging.getLogger(__name__)

BATCH: Final = 64
EX_IOERR: Final = 74
_RELEASE: Final = "RELEASE SAVEPOINT unit"
_UNDO: Final = "ROLLBACK TO SAVEPOINT unit"


@dataclass(slots=True, eq=False)
class Work:
    """A queued unit. `future` is None if no caller waits for the result. `expires` is in the loop's time; afterwards
    the unit is not started. Units of the same `key` keep their order; "" has none. `again`: the last transaction that
    began does not contain the unit. `contentions`: how often a contended lock blocked it.
    """

    unit: Callable[[Tx], Any]
    future: asyncio.Future[Any] | None
    expires: float = 0.0
    key: str = ""
    again: bool = False
    contentions: int = 0
    result: Any = None
    error: Exception | None = None


class Refusable(Protocol):
    """A caller that waits for a result."""

    @property
    def future(self) -> asyncio.Future[Any] | None: ...


class WritingConnection(Protocol):
    """A connection that writes."""

    def __enter__(self) -> Tx | None:
        """Begins a transaction. None: what the block would do is committed already."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object, /) -> None:
        """Commits unless an error leaves the block. After an error nothing is committed."""
        ...

    def control(self, *commands: str) -> None:
        """Runs commands of transactions, in one round trip."""
        ...

    def breaks_batch(self, error: Exception) -> bool:
        """Whether the error is not the unit's own: the whole transaction is lost."""
        ...

    def contended(self, error: Exception) -> bool:
        """Whether another transaction blocked the unit: a deadlock, or a lock that was held for too long.

        Undoing the unit releases its locks, and the same unit may succeed in the next transaction.
        """
        ...


def commit(works: Sequence[Work], connection: WritingConnection) -> list[Work]:
    """Run the units and commit, without those whose callers have cancelled.

    A unit's error affects only that unit, unless it broke the transaction. A unit that lost a race for a unique key
    runs once more, and then sees the winner's row. Returns the units that are not done because of a contended lock, in
    the order in which to repeat them.
    """
    works = [work for work in works if work.future is None or not work.future.cancelled()]
    if not works:
        return []
    if len(works) == 1:
        work = works[0]
        _ = _commit_alone(work, connection) or _commit_alone(work, connection)
        return [work] if work.again else []
    if (failed := _commit_all(works, connection)) is not None:
        _commit_others(works, failed, connection)
    return _to_repeat([work for work in works if work.again])


def _to_repeat(left: list[Work]) -> list[Work]:
    """The first one was blocked by a lock. It and those that must follow it come last, so that the others are done."""
    return sorted(left, key=lambda work: work is left[0] or (work.key == left[0].key != ""))


def _commit_alone(work: Work, connection: WritingConnection) -> bool:
    """False: the unit lost a race for a unique key."""
    try:
        with connection as tx:
            if tx is not None:
                work.error, work.again = None, False
                work.result = work.unit(tx)
    except Exception as error:
        if connection.breaks_batch(error):
            raise
        _note(work, error, connection)
    return not isinstance(work.error, IntegrityError)


def _commit_all(works: Sequence[Work], connection: WritingConnection) -> Work | None:
    """Returns the unit that failed. Nothing is committed then."""
    running = works[0]
    try:
        with connection as tx:
            if tx is not None:
                for running in works:
                    running.error, running.again = None, False
                    running.result = running.unit(tx)
    except Exception as error:
        if connection.breaks_batch(error):
            raise
        _note(running, error, connection)
        return running
    return None


def _commit_others(works: Sequence[Work], failed: Work, connection: WritingConnection) -> None:
    """A unit that a contended lock blocked waits for it in the next group, and those before it commit now."""
    earlier = works[: works.index(failed)] if failed.again else works
    for work in works[len(earlier) :]:
        work.again = True
    if earlier:
        with connection as tx:
            if tx is not None:
                _run_each(tx, earlier, connection)


def _run_each(tx: Tx, works: Sequence[Work], connection: WritingConnection) -> None:
    """Up to the first contended lock. Committing at once releases the locks for which another process may wait."""
    # One name for all savepoints keeps the statements prepared. SQLAlchemy's own savepoints each have a new name.
    for work in works:
        work.again = True
    ended: tuple[str, ...] = ()
    for work in works:
        for _ in range(2):
            connection.control(*ended, "SAVEPOINT unit")
            ended = (_RELEASE,) if _attempt(tx, work, connection) else (_UNDO, _RELEASE)
            if not isinstance(work.error, IntegrityError):
                break
        if work.again:
            break
    connection.control(*ended)


def _attempt(tx: Tx, work: Work, connection: WritingConnection) -> bool:
    work.result = work.error = None
    work.again = False
    try:
        work.result = work.unit(tx)
    except Exception as error:
        if connection.breaks_batch(error):
            raise
        _note(work, error, connection)
    return work.error is None


def _note(work: Work, error: Exception, connection: WritingConnection) -> None:
    work.error, work.again = error, connection.contended(error)
    work.contentions += work.again


def answer(works: Iterable[Work]) -> None:
    """Return the units' results to the callers, after COMMIT. In the loop's thread."""
    for work in works:
        if work.future is None:
            if work.error is not None:
                logger.error("storage: a unit that no caller awaits failed", exc_info=work.error)
        elif work.future.done():
            continue
        elif work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)


def refuse(works: Iterable[Refusable], error: Callable[[], Exception]) -> None:
    """Report to the callers that nothing was stored. In the loop's thread."""
    for work in works:
        if work.future is not None and not work.future.done():
            work.future.set_exception(error())


def end_process(reason: str) -> None:
    """Crash-only: the durable state is unknown, so the next start reads it from the database."""
    logger.critical("storage: %s; the process ends", reason)
    logging.shutdown()
    os._exit(EX_IOERR)
