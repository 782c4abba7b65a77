"""Operators' calls in a cluster: each node answers for all, over real connections between them."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kernel.v1 import admin_pb2, admin_pb2_grpc

from kernel_service.api.admin_servicer import AdminServicer
from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.api.interceptors import AuthInterceptor
from kernel_service.api.peers import Peers
from kernel_service.api.tokens import RefusedTokens, Tokens
from kernel_service.errors import NotFound
from kernel_service.kernels.kernel import EvictionReason
from kernel_service.ports.kernels import KernelLease
from kernel_service.ports.nodes import Node
from tests.node_view import View
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TOKEN = "the-admins-token"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


class Kernels:
    """The kernels in one node's memory, by person."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.evictions = Counter({EvictionReason.IDLE: 2})

    def hold(self, person_id: str, epoch: int) -> None:
        self.held[person_id] = SimpleNamespace(
            person_id=person_id, epoch=epoch, activated_at=1.0, last_used_at=2.0, history_bytes=10, history_items=1
        )

    def get(self, person_id: str) -> Any:
        return self.held.get(person_id)

    def resident(self) -> list[Any]:
        return list(self.held.values())

    def busy(self, _: str) -> bool:
        return False

    async def evict(self, person_id: str, reason: EvictionReason) -> None:
        if self.held.pop(person_id, None) is None:
            raise NotFound("KERNEL_NOT_RESIDENT", "this person's kernel is not in memory")
        self.evictions[reason] += 1

    def __len__(self) -> int:
        return len(self.held)


class Store:
    """The store that all nodes share: each person's lease."""

    def __init__(self) -> None:
        self.leases: dict[str, KernelLease] = {}
        self.owners: Iterator[str] | None = None
        """The owners that successive reads find, whatever the person."""
        self.kernels, self.sessions, self.people, self.connections = self, self, self, self

    async def lease(self, person_id: str) -> KernelLease:
        return KernelLease(next(self.owners), 1) if self.owners else self.leases[person_id]

    async def surviving(self, person_id: str) -> str:
        return person_id

    async def of_person(self, _: str) -> None:
        return None

    async def channels_of(self, _: str) -> list[Any]:
        return []

    list = kept_apart_from = channels_of


class Nodes:
    """Nodes `n0`, `n1`… of one store, each with its own kernels and a stub by which operators call it."""

    def __init__(self, addresses: list[str]) -> None:
        self.store = Store()
        self.all = [Node(f"n{number}", address, 27, started_at=1.0) for number, address in enumerate(addresses)]
        self.kernels = [Kernels() for _ in addresses]
        self.stubs: list[Any] = []

    def own(self, number: int, *person_ids: str, epoch: int = 1) -> None:
        for person_id in person_ids:
            self.kernels[number].hold(person_id, epoch)
            self.store.leases[person_id] = KernelLease(f"n{number}", epoch)

    def servicer(self, number: int) -> AdminServicer:
        others = [node for node in self.all if node is not self.all[number]]
        cluster = View.of(self.all[number], *others)
        kernels: Any = self.kernels[number]
        store: Any = self.store
        placement: Any = None
        return AdminServicer(
            kernels,
            placement,
            store,
            store,
            store,
            store,
            store,
            store,
            cluster,
            Peers(cluster, TOKEN, None),
            lambda: 0.0,
        )

    async def call(self, number: int, rpc: str, **request: Any) -> Any:
        asked = getattr(admin_pb2, f"{rpc}Request")(**request)
        return await getattr(self.stubs[number], rpc)(asked, metadata=BEARER, timeout=10)


@asynccontextmanager
async def nodes(count: int, *, ended: int = 0, misled: int = 0) -> AsyncIterator[Nodes]:
    """The last ones are not served: `ended` ones, and `misled` ones that advertise the address of the last served."""
    ports = [free_port() for _ in range(count + ended)]
    ports += [ports[count - 1]] * misled
    running = Nodes([f"127.0.0.1:{port}" for port in ports])
    async with AsyncExitStack() as stack:
        for number in range(count):
            await stack.enter_async_context(served(running.servicer(number), ports[number]))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.all[number].address))
            running.stubs.append(admin_pb2_grpc.KernelAdminServiceStub(channel))
        yield running


@asynccontextmanager
async def served(servicer: AdminServicer, port: int) -> AsyncIterator[None]:
    room, refused = ChannelAdmission(ChannelLimits()), RefusedTokens(lambda: 0.0)
    interceptor = AuthInterceptor(Tokens({}, TOKEN), room, refused, idle_seconds=10)
    server = grpc.aio.server(interceptors=[interceptor])
    admin_pb2_grpc.add_KernelAdminServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    yield
    await server.stop(None)


def ref(person_id: str) -> admin_pb2.PersonRef:
    return admin_pb2.PersonRef(person_id=person_id)


async def test_each_node_lists_the_kernels_of_all() -> None:
    async with nodes(3) as running:
        running.own(0, "p_5", "p_1")
        running.own(1, "p_4")
        running.own(2, "p_2", "p_3")
        for number in range(3):
            listed = await running.call(number, "ListKernels")
            found = [(kernel.person_id, kernel.node_id) for kernel in listed.kernels]
            assert found == [("p_1", "n0"), ("p_2", "n2"), ("p_3", "n2"), ("p_4", "n1"), ("p_5", "n0")]
            assert (listed.total, listed.next_page_token, list(listed.unanswered_nodes)) == (5, "", [])
            assert [(each.reason, each.count) for each in listed.evictions] == [(admin_pb2.EVICTION_REASON_IDLE, 6)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_pages_of_all_nodes_hold_each_kernel_once(size: int) -> None:
    async with nodes(2) as running:
        people = [f"p_{number}" for number in range(7)]
        running.own(0, *people[::3])
        running.own(1, *(person for person in people if person not in people[::3]))
        found, token, asked = [], "", 0
        while not asked or token:
            page = await running.call(asked % 2, "ListKernels", page_size=size, page_token=token)  # each other node
            assert len(page.kernels) <= size
            found += [kernel.person_id for kernel in page.kernels]
            token, asked = page.next_page_token, asked + 1
        assert found == people


async def test_of_a_person_who_has_moved_the_newest_kernel_is_listed() -> None:
    async with nodes(2) as running:
        running.own(1, "p_1", epoch=3)
        running.own(0, "p_1", epoch=4)
        for number in range(2):
            listed = await running.call(number, "ListKernels")
            assert [(kernel.node_id, kernel.epoch) for kernel in listed.kernels] == [("n0", 4)]


async def test_a_node_that_does_not_answer_is_named() -> None:
    async with nodes(2, ended=1) as running:
        running.own(0, "p_1")
        running.own(1, "p_2")
        running.own(2, "p_3")
        listed = await running.call(0, "ListKernels")
        assert [kernel.person_id for kernel in listed.kernels] == ["p_1", "p_2"]
        assert list(listed.unanswered_nodes) == ["n2"]


async def test_a_node_that_advertises_the_address_of_another_is_named() -> None:
    async with nodes(2, misled=1) as running:
        running.own(1, "p_1")
        running.own(2, "p_2")
        listed = await running.call(0, "ListKernels")
        assert ([kernel.person_id for kernel in listed.kernels], listed.total) == (["p_1"], 1)
        assert list(listed.unanswered_nodes) == ["n2"]
        assert [node.resident_kernels for node in (await running.call(0, "ListNodes")).nodes] == [0, 1, 0]
        with pytest.raises(grpc.aio.AioRpcError, match="check its KERNEL_ADVERTISE"):
            await running.call(0, "EvictKernel", person=ref("p_2"))


async def test_each_node_shows_a_kernel_as_its_owner_does() -> None:
    async with nodes(2, ended=1) as running:
        running.own(1, "p_1", epoch=7)
        for number in range(2):
            answer = await running.call(number, "GetKernel", person=ref("p_1"))
            assert (answer.kernel.resident, answer.kernel.node_id, answer.kernel.epoch) == (True, "n1", 7)
            assert not answer.unanswered_nodes


async def test_an_owner_that_does_not_answer_is_named() -> None:
    async with nodes(1, ended=1) as running:
        running.own(1, "p_1", epoch=7)
        answer = await running.call(0, "GetKernel", person=ref("p_1"))
        assert (answer.kernel.resident, answer.kernel.node_id, answer.kernel.epoch) == (False, "n1", 7)
        assert list(answer.unanswered_nodes) == ["n1"]


@pytest.mark.parametrize("owner", ["", "n_dead"])
async def test_a_dead_owner_is_none(owner: str) -> None:
    async with nodes(2) as running:
        running.store.leases["p_1"] = KernelLease(owner, 7)
        answer = await running.call(0, "GetKernel", person=ref("p_1"))
        assert answer.kernel == admin_pb2.Kernel(person_id="p_1", epoch=7)


async def test_a_kernel_is_evicted_wherever_it_is() -> None:
    async with nodes(3) as running:
        for owner, person_id in enumerate(["p_0", "p_1", "p_2"]):
            running.own(owner, person_id)
            await running.call(0, "EvictKernel", person=ref(person_id))
            assert person_id not in running.kernels[owner].held


async def test_a_refusal_of_the_owner_is_the_callers() -> None:
    async with nodes(2) as running:
        running.store.leases["p_1"] = KernelLease("n1", 1)
        with pytest.raises(grpc.aio.AioRpcError, match="not in memory") as refused:
            await running.call(0, "EvictKernel", person=ref("p_1"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_kernel_of_a_node_that_does_not_answer_is_not_evicted() -> None:
    async with nodes(1, ended=1) as running:
        running.own(1, "p_1")
        with pytest.raises(grpc.aio.AioRpcError, match="does not answer") as refused:
            await running.call(0, "EvictKernel", person=ref("p_1"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_nodes_that_disagree_about_the_owner_do_not_ask_each_other_for_ever() -> None:
    async with nodes(2) as running:
        running.store.owners = cycle(["n1", "n0"])
        with pytest.raises(grpc.aio.AioRpcError, match="not in memory"):
            await running.call(0, "EvictKernel", person=ref("p_1"))


async def test_each_node_lists_the_nodes() -> None:
    async with nodes(2, ended=1) as running:
        running.own(1, "p_1", "p_2")
        listed = await running.call(1, "ListNodes")
        assert listed.node_id == "n1"
        counts = [node.resident_kernels if node.HasField("resident_kernels") else None for node in listed.nodes]
        assert counts == [0, 2, None]
        assert [(node.id, node.address, node.schema) for node in listed.nodes] == [
            (node.id, node.address, 27) for node in running.all
        ]
        assert [node.leader for node in listed.nodes] == [False, True, False]
        first = await running.call(1, "ListNodes", page_size=2)
        rest = await running.call(0, "ListNodes", page_token=first.next_page_token)
        assert [node.id for node in [*first.nodes, *rest.nodes]] == ["n0", "n1", "n2"]
