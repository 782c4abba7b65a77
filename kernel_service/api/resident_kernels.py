"""The kernels in the memory of all nodes. Each node lists its own, and the called node merges their pages."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

from kernel_service.api import converters
from kernel_service.api.pages import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_service.api.peers import Peers
    from kernel_service.kernels.kernel import EvictionReason, Kernel
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.ports.kernels import KernelLease

_COUNT_ONLY = admin_pb2.ListKernelsRequest(page_size=1)


class ResidentKernels:
    """`me` is this node's id."""

    def __init__(self, kernels: KernelMap, peers: Peers, me: str) -> None:
        self._kernels = kernels
        self._peers = peers
        self._me = me

    def of(self, person_id: str, lease: KernelLease) -> admin_pb2.Kernel:
        """The person's kernel, from this node's memory."""
        kernel = self._kernels.get(person_id)
        if kernel is None:
            return admin_pb2.Kernel(person_id=person_id, epoch=lease.epoch, node_id=lease.owner)
        return self._shown(kernel)

    def here(self, request: admin_pb2.ListKernelsRequest) -> admin_pb2.ListKernelsResponse:
        """This node's kernels."""
        resident = self._kernels.resident()
        shown, next_page_token = _page(request).of(resident, key=lambda kernel: kernel.person_id)
        return admin_pb2.ListKernelsResponse(
            kernels=map(self._shown, shown),
            next_page_token=next_page_token,
            total=len(resident),
            evictions=_counts({_reason(reason): count for reason, count in self._kernels.evictions.items()}),
        )

    async def everywhere(self, request: admin_pb2.ListKernelsRequest) -> admin_pb2.ListKernelsResponse:
        """The kernels of all nodes that answer."""
        here = self.here(request)
        answers = await self._peers.call_others("ListKernels", request)
        pages = [here, *(page for page in answers.values() if page is not None)]
        shown, next_page_token = _merged(pages, _page(request))
        evictions = Counter[admin_pb2.EvictionReason.ValueType]()
        for each in chain.from_iterable(page.evictions for page in pages):
            evictions[each.reason] += each.count
        return admin_pb2.ListKernelsResponse(
            kernels=shown,
            next_page_token=next_page_token,
            total=sum(page.total for page in pages),
            evictions=_counts(evictions),
            unanswered_nodes=sorted(node_id for node_id, page in answers.items() if page is None),
        )

    async def counts(self) -> dict[str, int]:
        """The number of kernels at each node that answers."""
        answers = await self._peers.call_others("ListKernels", _COUNT_ONLY)
        others = {node_id: page.total for node_id, page in answers.items() if page is not None}
        return {self._me: len(self._kernels), **others}

    def _shown(self, kernel: Kernel) -> admin_pb2.Kernel:
        return admin_pb2.Kernel(
            person_id=kernel.person_id,
            resident=True,
            busy=self._kernels.busy(kernel.person_id),
            epoch=kernel.epoch,
            activated_at=converters.timestamp(kernel.activated_at),
            last_used_at=converters.timestamp(kernel.last_used_at),
            history_bytes=kernel.history_bytes,
            history_items=kernel.history_items,
            node_id=self._me,
        )


def _page(request: admin_pb2.ListKernelsRequest) -> Page:
    return Page(request.page_size, request.page_token, "kernels")


def _merged(pages: Sequence[admin_pb2.ListKernelsResponse], page: Page) -> tuple[Sequence[admin_pb2.Kernel], str]:
    """One page of the nodes' pages. A node may still hold the kernel of a person who has moved: the newest counts."""
    newest: dict[str, admin_pb2.Kernel] = {}
    for kernel in chain.from_iterable(each.kernels for each in pages):
        if kernel.person_id not in newest or kernel.epoch > newest[kernel.person_id].epoch:
            newest[kernel.person_id] = kernel
    shown = sorted(newest.values(), key=lambda kernel: kernel.person_id)[: page.size]
    has_more = len(newest) > page.size or any(each.next_page_token for each in pages)
    return shown, page.next_token(shown[-1].person_id) if has_more else ""


def _counts(evictions: dict[admin_pb2.EvictionReason.ValueType, int]) -> Iterable[admin_pb2.EvictionCount]:
    return [admin_pb2.EvictionCount(reason=reason, count=count) for reason, count in sorted(evictions.items())]


def _reason(reason: EvictionReason) -> admin_pb2.EvictionReason.ValueType:
    return admin_pb2.EvictionReason.Value(f"EVICTION_REASON_{reason.upper()}")
