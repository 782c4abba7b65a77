"""Changes of identity: replaced ids and merged people. The kernels of all nodes are notified of them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.notices import NodeNotice, NoticeKind
from kernel_service.ports.people import LinkOutcome, PeopleStore
from kernel_service.uncancelled import Uncancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from kernel_service.ports.messages import Alias
    from kernel_service.ports.notices import Notices
    from kernel_service.ports.people import Linked, MergingStore

log = logging.getLogger(__name__)


class Kernels(Protocol):
    """The part that is notified of a merge. The kernel map implements it."""

    def merged(self, person_id: str, into: str) -> None: ...


class Wakes(Protocol):
    """Wakes a person at the node that runs them."""

    def wake(self, person_id: str) -> None: ...


class People:
    """`links` counts the outcomes of the channels' notices of changed ids."""

    def __init__(  # noqa: PLR0917 - the receivers of a merge
        self,
        store: PeopleStore,
        merging: MergingStore,
        kernels: Kernels,
        placement: Wakes,
        notices: Notices,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._merging = merging
        self._kernels = kernels
        self._placement = placement
        self._notices = notices
        notices.on(NoticeKind.MERGED, lambda notice: kernels.merged(notice.subject, into=notice.detail))
        self._clock = clock
        self._uncancelled = Uncancelled()
        self.links: Counter[LinkOutcome] = Counter()

    async def link(self, previous: Alias, current: Alias) -> LinkOutcome:
        """A channel reports that one of its ids was replaced; see LinkIdentity in the contract."""
        linking = self._announce(self._merging.link(previous, current, now=self._clock()))
        linked = await self._uncancelled.run(linking)
        for one in (linked, *linked.then):
            self._count(one)
        return linked.outcome

    def _count(self, linked: Linked) -> None:
        self.links[linked.outcome] += 1
        if linked.outcome is LinkOutcome.KEPT_APART and linked.is_new:
            log.error(
                "alert: kept apart, merge them or keep both first=%s second=%s", linked.person_id, linked.other_id
            )

    async def merge(self, one_id: str, other_id: str) -> str:
        """Merge two people, at an operator's request. Return the remaining one. NotFound PERSON_NOT_FOUND."""
        merging = self._announce(self._merging.merge(one_id, other_id, now=self._clock()))
        return (await self._uncancelled.run(merging)).person_id

    async def surviving(self, person_id: str) -> str:
        """The person, or the one into whom they were merged. NotFound PERSON_NOT_FOUND."""
        return await self._store.surviving(person_id)

    async def kept_apart_from(self, person_id: str) -> list[str]:
        return await self._merging.kept_apart_from(person_id)

    async def kept_apart_pairs(self) -> int:
        return await self._merging.kept_apart_pairs()

    async def _announce(self, work: Coroutine[Any, Any, Linked]) -> Linked:
        """Notify the kernels of all nodes of each committed change."""
        linked = await work
        for one in (linked, *linked.then):
            if one.merged_id:
                log.info("merged person=%s into=%s", one.merged_id, one.person_id)
                self._kernels.merged(one.merged_id, into=one.person_id)
                self._notices.send_to_all(NodeNotice(NoticeKind.MERGED, one.merged_id, detail=one.person_id))
                self._placement.wake(one.person_id)
        return linked
