"""Deletes people permanently, at an operator's request, and finishes deletions that a crash interrupted."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from kernel_service.ports.notices import NodeNotice, NoticeKind
from kernel_service.uncancelled import Uncancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.deletion import DeletionStep, DeletionStore
    from kernel_service.ports.notices import Notices

log = logging.getLogger(__name__)

UNFINISHED_SECONDS: Final = 60.0
"""A deletion that began earlier was probably interrupted. Two that continue it at the same time do no harm."""


class CachesPeople(Protocol):
    """A part of this node that caches data of people."""

    def person_deleted(self, person_id: str) -> None:
        """The person was deleted, here or elsewhere."""
        ...


class Callers(Protocol):
    """The callers that wait for answers."""

    def withdrawn(self, seqs: Sequence[int]) -> None: ...


@dataclass(slots=True)
class Deleted:
    """The result for a person: the deleted rows by table, and how much the tools' vendor must still remove."""

    person_id: str
    rows: Counter[str] = field(default_factory=Counter)
    revocations: int = 0


class Deletion:
    """A deletion continues if its caller cancels."""

    def __init__(
        self,
        store: DeletionStore,
        caches: Sequence[CachesPeople],
        callers: Callers,
        notices: Notices,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._caches = caches
        self._callers = callers
        self._notices = notices
        self._clock = clock
        self._uncancelled = Uncancelled()
        notices.on(NoticeKind.DELETED, lambda notice: self._drop_caches(notice.subject))

    async def delete(self, person_id: str) -> Deleted:
        """Delete the person, and all who were merged into them.

        A deletion that has begun is continued. NotFound PERSON_NOT_FOUND.
        """
        return await self._uncancelled.run(self._delete(person_id))

    async def sweep(self) -> None:
        """Finish what was interrupted."""
        for person_id in await self._store.unfinished(before=self._clock() - UNFINISHED_SECONDS):
            log.warning("deletion is continued person=%s", person_id)
            await self.delete(person_id)

    async def _delete(self, person_id: str) -> Deleted:
        step = await self._store.begin(person_id, now=self._clock())
        self._announce(step)
        deleted = Deleted(step.people[0], revocations=step.revocations)
        deleted.rows += step.rows
        while not step.is_last:
            step = await self._store.go_on(step.people, now=self._clock())
            deleted.rows += step.rows
        log.info(
            "deleted person=%s rows=%d revocations=%d", deleted.person_id, deleted.rows.total(), deleted.revocations
        )
        return deleted

    def _announce(self, step: DeletionStep) -> None:
        """Notify all nodes, so that the person's work stops sooner.

        Nothing depends on it: the store refuses later writes.
        """
        for each in step.people:
            self._drop_caches(each)
            self._notices.send_to_all(NodeNotice(NoticeKind.DELETED, each))
        if step.unanswered:
            self._callers.withdrawn(step.unanswered)

    def _drop_caches(self, person_id: str) -> None:
        self._store.forget_key(person_id)
        for each in self._caches:
            each.person_deleted(person_id)
