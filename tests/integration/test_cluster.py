"""Several kernel services share people: whatever happens to one of them, everybody is answered once and in order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kernel.v1 import admin_pb2, messages_pb2, schedules_pb2

from tests.crash.databases import postgres_server
from tests.crash.system import TOKEN
from tests.integration.cluster import ADMIN_TOKEN, INLINE_TOKEN, cluster
from tests.integration.world import bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.crash.databases import Postgres
    from tests.crash.processes import Process
    from tests.crash.system import Person
    from tests.integration.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS: Final = 15
"""People are answered within this time after a node died or froze. A node counts as dead after 3 s of silence."""
MANY: Final = 12
NODES: Final = 3
HOUR: Final = 3600.0
SERVICE: Final = "kernel.v1.KernelService"
OPERATOR: Final = bearer(ADMIN_TOKEN)
TELEGRAM: Final = bearer(INLINE_TOKEN)
WHATSAPP: Final = bearer(TOKEN)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server(durable=False) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("cluster"), postgres) as running:
        await running.system.control("openai", "slow", seconds=0.5)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(running: Cluster) -> list[Person]:
    """They are known, and every node has some of them."""
    crowd = await running.people(MANY)
    await spread(running, crowd)
    return crowd


@pytest_asyncio.fixture(loop_scope="module")
async def people(running: Cluster, crowd: list[Person]) -> list[Person]:
    """All nodes run and see one another, whatever the test before left. The dead are removed."""
    for number, node in enumerate(running.nodes[:NODES]):
        if not node.alive:
            await running.join(number)
    async with asyncio.timeout(SECONDS):
        for viewer in range(NODES):
            while await seen(running, viewer) != sorted(address_of(node) for node in running.nodes if node.alive):
                await asyncio.sleep(0.05)
    return crowd


async def spread(running: Cluster, people: list[Person]) -> None:
    """Let them write until every node has some of them: people move as they write.

    More join them meanwhile, because by chance one node may be the home of none of a few.
    """
    async with asyncio.timeout(SECONDS):
        while await owners(running) < NODES:
            people += await running.people(1)
            await running.ask(people)


async def owners(running: Cluster) -> int:
    [row] = await running.rows("SELECT count(DISTINCT owner) AS many FROM kernel WHERE owner <> ''")
    return int(row["many"])


async def all_listen(running: Cluster) -> None:
    async with asyncio.timeout(SECONDS):
        while await running.listening() < NODES:
            await asyncio.sleep(0.1)


async def judged(running: Cluster, people: list[Person]) -> None:
    verdict = await running.verdict(*people)
    assert (verdict.faults, dict(verdict.residue)) == ([], {})


async def test_operators_ask_any_node(running: Cluster, people: list[Person]) -> None:
    await all_resident_once(running, people)
    listed = [await kernels(running, node) for node in range(NODES)]
    assert len(listed[0].kernels) == listed[0].total == len(people)
    assert [list(each.kernels) for each in listed[1:]] == [list(listed[0].kernels)] * 2
    for number, kernel in enumerate(listed[0].kernels):
        person = admin_pb2.PersonRef(person_id=kernel.person_id)
        request = admin_pb2.EvictKernelRequest(person=person)
        await running.admins[number % NODES].EvictKernel(request, metadata=OPERATOR, timeout=SECONDS)
    assert (await kernels(running, 0)).total == 0
    await running.ask(people)
    await running.kill(1)
    left = await kernels(running, 0)
    [gone] = left.unanswered_nodes
    assert 0 < left.total < len(people)
    assert gone not in {kernel.node_id for kernel in left.kernels}


async def all_resident_once(running: Cluster, people: list[Person]) -> None:
    """Let them write until no person moves: a move evicts the kernel, until the person writes again."""
    async with asyncio.timeout(SECONDS):
        while (await kernels(running, 0)).total != len(people):
            await running.ask(people)


@pytest.mark.usefixtures("people")
async def test_each_node_names_the_owner_of_a_person_who_writes(running: Cluster) -> None:
    named = set()
    for node in range(NODES):
        message = messages_pb2.HandleMessageRequest(
            user_id="telegram:1", message_id=f"m-{node}", payload=messages_pb2.Payload(text="hello")
        )
        answer = await running.stubs[node].HandleMessage(message, metadata=TELEGRAM, timeout=SECONDS)
        named.add(answer.node_id)
    person = admin_pb2.GetKernelRequest(person=admin_pb2.PersonRef(user_id="telegram:1"))
    found = [await admin.GetKernel(person, metadata=OPERATOR, timeout=SECONDS) for admin in running.admins[:NODES]]
    assert named == {each.kernel.node_id for each in found}
    assert all(each.kernel.resident for each in found)


async def kernels(running: Cluster, node: int) -> admin_pb2.ListKernelsResponse:
    """The kernels of all nodes, as one of them lists them."""
    request = admin_pb2.ListKernelsRequest()
    listed: admin_pb2.ListKernelsResponse = await running.admins[node].ListKernels(
        request, metadata=OPERATOR, timeout=SECONDS
    )
    return listed


async def test_a_node_is_killed_in_the_middle_of_turns(running: Cluster, people: list[Person]) -> None:
    asked = len(running.system.evidence.model_calls)
    tokens = [await running.system.writes(person) for person in people]
    await running.system.until(lambda: len(running.system.evidence.model_calls) > asked)
    await running.kill(1)
    await running.system.answered(*tokens, timeout=SECONDS)
    await judged(running, people)


async def test_each_schedule_runs_once_while_the_leader_dies(running: Cluster, people: list[Person]) -> None:
    due = Timestamp(seconds=int(time.time()) + 3)
    for place, person in enumerate(people):
        request = schedules_pb2.CreateScheduleRequest(
            user_id=f"whatsapp:{person.phone}",
            request_id="plants",
            kind=schedules_pb2.SCHEDULE_KIND_REMIND,
            request=f"water the plants of {person.name}",
            at=due,
        )
        await running.stubs[place % NODES].CreateSchedule(request, metadata=WHATSAPP, timeout=SECONDS)
    while time.time() < due.seconds:
        await asyncio.sleep(0.05)
    await running.kill(await leader(running))
    await running.system.until(lambda: len(reminded(running)) >= len(people))
    await judged(running, people)
    assert sorted(reminded(running)) == sorted(person.phone for person in people)


async def leader(running: Cluster) -> int:
    [address] = [node.address for node in await listed_nodes(running, 0) if node.leader]
    return [address_of(node) for node in running.nodes].index(address)


async def until_removed(running: Cluster, number: int) -> None:
    """Wait until the first node does not see this one among the living any more."""
    async with asyncio.timeout(SECONDS):
        while address_of(running.nodes[number]) in await seen(running, 0):
            await asyncio.sleep(0.05)


async def seen(running: Cluster, viewer: int) -> list[str]:
    """The addresses of the nodes that this one sees among the living: two of a node that died and came back."""
    return sorted(node.address for node in await listed_nodes(running, viewer))


async def listed_nodes(running: Cluster, viewer: int) -> list[admin_pb2.Node]:
    listed = await running.admins[viewer].ListNodes(admin_pb2.ListNodesRequest(), metadata=OPERATOR, timeout=SECONDS)
    return list(listed.nodes)


def address_of(node: Process) -> str:
    return node.settings["KERNEL_LISTEN"]


def reminded(running: Cluster) -> list[str]:
    """The phone of each reminder that was sent."""
    sends = (effect for effect in running.system.log if effect.kind == "graph_send")
    return [effect.person for effect in sends if "water the plants" in str(effect.detail.get("text"))]


async def test_a_frozen_node_is_replaced_and_ends_when_it_resumes(running: Cluster, people: list[Person]) -> None:
    await running.freeze(2)
    await running.ask(people, timeout=SECONDS)
    await until_removed(running, 2)  # the others waited for it only if it had people
    await running.thaw(2)
    await running.nodes[2].ended()
    await judged(running, people)


async def test_a_node_without_its_database_ends(running: Cluster, people: list[Person]) -> None:
    health = health_pb2_grpc.HealthStub(running.channels[0])
    running.cut_from_database(0)
    await running.ask(people, timeout=SECONDS)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    running.reach_database(0)
    await running.nodes[0].ended()
    await judged(running, people)


async def test_a_stop_of_the_database_leaves_all_nodes(
    running: Cluster, postgres: Postgres, people: list[Person]
) -> None:
    before = await running.rows("SELECT id FROM node ORDER BY id")
    await postgres.stop()
    tokens = [await running.system.writes(person) for person in people]
    await asyncio.sleep(4)  # longer than a node may be silent
    await postgres.start()
    await running.system.answered(*tokens)
    assert await running.rows("SELECT id FROM node ORDER BY id") == before
    await judged(running, people)


async def test_notices_stop_and_come_back(running: Cluster, people: list[Person]) -> None:
    await all_listen(running)
    await running.end_listening()
    await running.ask(people, timeout=SECONDS)
    await all_listen(running)
    await judged(running, people)


async def test_a_node_joins_and_another_one_leaves(running: Cluster, people: list[Person]) -> None:
    """No turn is cut: each is one call of the model. No death is counted."""
    evidence = running.system.evidence
    deaths = await running.rows("SELECT sum(crash_count) FROM turn")
    calls, answers = len(evidence.model_calls), len(evidence.replies)
    thinking = await running.system.hold("openai")
    tokens = [await running.system.writes(person) for person in people]
    await thinking.reached()
    await running.join(3)
    await thinking.release()
    await running.system.answered(*tokens, timeout=SECONDS)
    tokens = [await running.system.writes(person) for person in people]
    await running.system.until(lambda: len(evidence.model_calls) > calls + len(people))
    await running.stop(0)
    await running.system.answered(*tokens, timeout=SECONDS)
    assert len(evidence.model_calls) - calls == len(evidence.replies) - answers
    assert await running.rows("SELECT sum(crash_count) FROM turn") == deaths
    await running.stop(3)
    await judged(running, people)


@pytest.mark.usefixtures("people")
async def test_a_browser_meets_another_node_at_each_step(running: Cluster) -> None:
    person = await running.system.person()
    await running.system.connect([person], timeout=SECONDS)
    await running.ask([person], "task")
    await judged(running, [person])


@pytest.mark.usefixtures("people")
async def test_an_inline_caller_waits_at_any_node(running: Cluster) -> None:
    answers = await asyncio.gather(*(tell(running, node, "ann", f"hello {node}") for node in range(3)))
    told = " ".join(reply.text for answer in answers for reply in answer.replies)
    assert all(f"hello {node}" in told for node in range(3))


@pytest.mark.usefixtures("people")
async def test_a_person_is_deleted_at_any_node_while_another_one_runs_their_turn(running: Cluster) -> None:
    await tell(running, 0, "eve", "hello")
    eve = admin_pb2.PersonRef(user_id="telegram:eve")
    kernel = await running.admins[0].GetKernel(admin_pb2.GetKernelRequest(person=eve), metadata=OPERATOR)
    person_id, owner = kernel.kernel.person_id, await number_of(running, kernel.kernel.node_id)
    await running.system.control("openai", "slow", seconds=3)
    waiting = [asyncio.ensure_future(tell(running, node, "eve", f"wait {node}")) for node in (1, 2)]
    async with asyncio.timeout(SECONDS):
        while not await running.rows("SELECT id FROM turn WHERE person_id = $1 AND ended_at IS NULL", person_id):
            await asyncio.sleep(0.02)
    request = admin_pb2.DeletePersonRequest(person=eve)
    await running.admins[(owner + 1) % NODES].DeletePerson(request, metadata=OPERATOR, timeout=SECONDS)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    codes = [each.code() for each in told if isinstance(each, grpc.aio.AioRpcError)]
    assert codes == [grpc.StatusCode.NOT_FOUND] * 2
    await running.system.control("openai", "slow", seconds=0.5)
    assert await running.rows("SELECT id FROM person WHERE id = $1", person_id) == []
    assert (await tell(running, 1, "eve", "wait 1")).duplicate
    again = await tell(running, 3, "eve", "hello", stub=owner)
    assert "message 1 of our chat" in again.replies[0].text
    for node in range(NODES):
        kernels_ = await kernels(running, node)
        assert person_id not in {each.person_id for each in kernels_.kernels}


async def test_a_person_is_deleted_while_their_node_is_frozen(running: Cluster, people: list[Person]) -> None:
    await tell(running, 0, "ivy", "hello")
    ivy = admin_pb2.PersonRef(user_id="telegram:ivy")
    kernel = await running.admins[0].GetKernel(admin_pb2.GetKernelRequest(person=ivy), metadata=OPERATOR)
    person_id, owner = kernel.kernel.person_id, await number_of(running, kernel.kernel.node_id)
    await running.system.control("openai", "slow", seconds=1)
    waiting = asyncio.ensure_future(tell(running, 1, "ivy", "wait", stub=owner))
    async with asyncio.timeout(SECONDS):
        while not await running.rows("SELECT id FROM turn WHERE person_id = $1 AND ended_at IS NULL", person_id):
            await asyncio.sleep(0.02)
    await running.freeze(owner)
    began = time.monotonic()
    request = admin_pb2.DeletePersonRequest(person=ivy)
    await running.admins[(owner + 1) % NODES].DeletePerson(request, metadata=OPERATOR, timeout=SECONDS)
    assert time.monotonic() - began < 2
    await running.thaw(owner)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], grpc.aio.AioRpcError)
    await running.system.control("openai", "slow", seconds=0.5)
    await running.ask(people, timeout=SECONDS)
    await judged(running, people)
    assert await traces_of(running, person_id) == []


async def test_another_node_ends_a_deletion_whose_node_is_killed(running: Cluster, people: list[Person]) -> None:
    await tell(running, 0, "max", "hello")
    person = admin_pb2.PersonRef(user_id="telegram:max")
    kernel = await running.admins[0].GetKernel(admin_pb2.GetKernelRequest(person=person), metadata=OPERATOR)
    person_id = kernel.kernel.person_id
    await running.rows(
        """
        INSERT INTO item (person_id, seq, turn_id, kind, origin, version, data, created_at)
        SELECT person_id, seq + number, turn_id, kind, origin, version, data, created_at
        FROM item, generate_series(100, 40000) AS number WHERE person_id = $1 AND seq = 1
        """,
        person_id,
    )
    request = admin_pb2.DeletePersonRequest(person=person)
    deleting = asyncio.ensure_future(running.admins[1].DeletePerson(request, metadata=OPERATOR))
    async with asyncio.timeout(SECONDS):
        while not await running.rows("SELECT id FROM person WHERE id = $1 AND deleted_at IS NOT NULL", person_id):
            await asyncio.sleep(0.01)
    await running.kill(1)
    assert isinstance((await asyncio.gather(deleting, return_exceptions=True))[0], grpc.aio.AioRpcError)
    assert await traces_of(running, person_id) != []
    assert "message 1 of our chat" in (await tell(running, 2, "max", "hello again", stub=2)).replies[0].text
    again = admin_pb2.DeletePersonRequest(person=admin_pb2.PersonRef(person_id=person_id))
    await running.admins[2].DeletePerson(again, metadata=OPERATOR, timeout=SECONDS)
    assert await traces_of(running, person_id) == []
    await running.ask(people, timeout=SECONDS)


async def traces_of(running: Cluster, person_id: str) -> list[str]:
    """The tables that hold something of the person."""
    named = "SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'person_id'"
    tables = [row["name"] for row in await running.rows(named)]
    held = [f"SELECT '{name}' AS name FROM {name} WHERE person_id = $1" for name in tables]  # noqa: S608 - of the schema
    return [row["name"] for row in await running.rows(" UNION ".join(held), person_id)]


async def number_of(running: Cluster, node_id: str) -> int:
    [address] = [node.address for node in await listed_nodes(running, 0) if node.id == node_id]
    return [address_of(node) for node in running.nodes].index(address)


async def tell(running: Cluster, node: int, user: str, text: str, *, stub: int | None = None) -> Any:
    request = messages_pb2.HandleMessageRequest(
        user_id=f"telegram:{user}", message_id=f"{node}", payload=messages_pb2.Payload(text=text)
    )
    at = running.stubs[node if stub is None else stub]
    return await at.HandleMessage(request, metadata=bearer(INLINE_TOKEN), timeout=SECONDS, wait_for_ready=True)


async def test_nodes_that_no_gateway_sees_and_clocks_far_apart(postgres: Postgres, tmp_path: Path) -> None:
    """Each gateway reaches one node. Acknowledgements and receipts come through any, and the third node works, too."""
    apart = await postgres.another("apart")
    async with cluster(tmp_path, apart, spare_nodes=0, seen=(0, 1), ahead=(0, HOUR, -HOUR)) as running:
        people = await running.people(MANY)
        await spread(running, people)
        for _ in range(3):
            await running.ask(people, timeout=SECONDS)
        await judged(running, people)
        async with asyncio.timeout(SECONDS):
            while await running.rows("SELECT 1 FROM reply WHERE state <> 'sent'"):
                await asyncio.sleep(0.1)
