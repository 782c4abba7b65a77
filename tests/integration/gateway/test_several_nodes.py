"""A gateway before several nodes of the kernel service, over real connections that are cut, silent or wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_client import address, outbox_puller
from tests.integration.gateway.payloads import text, webhook
from tests.integration.gateway.several_nodes import several_nodes, tell
from tests.integration.gateway.test_identity import notice
from tests.integration.gateway.test_replies import key
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulators.app import Emulators
    from tests.integration.gateway.conftest import Gateway, Start
    from tests.integration.gateway.several_nodes import FakeNode

PEOPLE = [f"US.{number}" for number in range(12)]


@pytest.fixture
async def nodes() -> AsyncIterator[list[FakeNode]]:
    async with several_nodes("a", "b", "c") as running:
        yield running


@pytest.fixture
async def before(nodes: list[FakeNode], start_gateway: Start) -> Gateway:
    """A gateway that knows `a` alone from its settings, once it has a stream to each node."""
    gateway: Gateway = await start_gateway(kernel_address=nodes[0].address)
    await gateway.has_streams(3)
    return gateway


def texts(*nodes: FakeNode) -> list[str]:
    return sorted(message.payload.text for node in nodes for message in node.fake.messages)


async def write(gateway: Gateway, people: list[str], words: str) -> list[int]:
    posts = [gateway.post(webhook(text(person, words, f"wamid.{words}.{person}"))) for person in people]
    return await asyncio.gather(*posts)


async def test_people_are_spread_and_then_written_to_the_node_that_runs_them(
    before: Gateway, nodes: list[FakeNode]
) -> None:
    for node in nodes:
        node.fake.home = lambda user_id: "abc"[int(user_id.rpartition(".")[2]) % 3]
    assert await write(before, PEOPLE, "first") == [200] * 12
    assert [len(node.fake.messages) for node in nodes] == [4, 4, 4]
    for node in nodes:
        node.fake.messages.clear()
    assert await write(before, PEOPLE, "second") == [200] * 12
    for number, node in enumerate(nodes):
        assert {message.user_id for message in node.fake.messages} == {
            f"whatsapp:US.{person}" for person in range(number, 12, 3)
        }
        assert node.fake.separate_calls.count("HandleMessage") == 0


async def test_each_stream_has_a_name_and_its_share_of_the_leases(before: Gateway, nodes: list[FakeNode]) -> None:
    pulls = [node.fake.pulls[0] for node in nodes]
    assert len({pull.instance_id for pull in pulls}) == 3
    assert [pull.max_in_flight for pull in pulls] == [100, 33, 33]


async def test_one_node_gets_one_stream(start_gateway: Start, emulators: Emulators) -> None:
    async with several_nodes("a") as (only,):
        gateway: Gateway = await start_gateway(kernel_address=only.address)
        await only.attached()
        tell(only)
        assert await write(gateway, PEOPLE, "hi") == [200] * 12
        assert len(only.fake.streams) == 1
        await gateway.stop()


@pytest.mark.parametrize("end", ["dies", "drains"])
@pytest.mark.parametrize("which", [0, 1])
async def test_without_one_node_messages_are_accepted_at_once(
    before: Gateway, nodes: list[FakeNode], end: str, which: int
) -> None:
    for node in nodes:
        node.fake.home = lambda _: "abc"[which]
    assert await write(before, PEOPLE, "first") == [200] * 12
    lost = nodes[which]
    if end == "dies":
        await lost.die()
    else:
        lost.fake.end_stream()
        await lost.running.stop()
    async with asyncio.timeout(4):
        assert await write(before, PEOPLE, "second") == [200] * 12
    rest = [node for node in nodes if node is not lost]
    assert set(texts(*rest)) >= {"second"}
    assert texts(*rest).count("second") >= 12


@pytest.fixture
def no_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen node is noticed by its silence alone."""
    monkeypatch.setattr(address, "_OPTIONS", [each for each in address._OPTIONS if "keepalive" not in each[0]])


@pytest.mark.usefixtures("no_keepalive")
@pytest.mark.parametrize("which", [0, 1])
async def test_messages_to_a_silent_node_are_accepted_by_others(
    nodes: list[FakeNode], start_gateway: Start, which: int
) -> None:
    gateway: Gateway = await start_gateway(kernel_address=nodes[0].address)
    await gateway.has_streams(3)
    for node in nodes:
        node.fake.home = lambda _: "abc"[which]
    assert await write(gateway, PEOPLE, "first") == [200] * 12
    nodes[which].cable.go_silent()
    assert await write(gateway, PEOPLE, "second") == [200] * 12
    assert await gateway.count("kernel_streams") == 3
    nodes[which].cable.speak()


async def test_a_silent_node_that_speaks_again_is_used_again(before: Gateway, nodes: list[FakeNode]) -> None:
    nodes[1].cable.go_silent()
    assert await write(before, PEOPLE, "first") == [200] * 12
    nodes[1].cable.speak()
    await nodes[1].fake.until(lambda: nodes[1].fake.messages)
    nodes[1].fake.messages.clear()
    for number in range(10):
        await write(before, PEOPLE, f"again {number}")
        if nodes[1].fake.messages:
            return
    pytest.fail("the node stays avoided")


async def test_a_reply_is_acknowledged_where_it_was_leased_and_else_anywhere(
    before: Gateway, nodes: list[FakeNode], emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hello")
    nodes[2].fake.lease("one", user_id=key(alice))
    await alice.wait_for_message()
    await nodes[2].fake.until(lambda: nodes[2].fake.acks)
    hold = emulators.whatsapp.graph.before.hold()
    nodes[2].fake.lease("two", user_id=key(alice), id="rp_2")
    await hold.reached.wait()
    await nodes[2].die()
    hold.release()
    await alice.wait_for_message()
    rest = [asyncio.create_task(node.acknowledged()) for node in nodes[:2]]
    _, others = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    assert len(emulators.effects.all("graph_send")) == 2


async def test_a_reply_whose_lease_moves_is_sent_once_and_the_next_one_after_it(
    before: Gateway, nodes: list[FakeNode], emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hello")
    hold = emulators.whatsapp.graph.before.hold()
    nodes[1].fake.lease("one", user_id=key(alice))
    await hold.reached.wait()
    nodes[2].fake.lease("one", user_id=key(alice))
    nodes[0].fake.lease("two", user_id=key(alice), id="rp_2")
    hold.release()
    assert [(await alice.wait_for_message()).text for _ in range(2)] == ["one", "two"]
    await nodes[2].fake.until(lambda: nodes[2].fake.acks)
    assert nodes[2].fake.acks[0].outcome == "retry"
    assert [effect.key for effect in emulators.effects.all("graph_send")] == ["rp_1/1/1", "rp_2/1/1"]


async def test_a_node_that_comes_and_one_that_goes(before: Gateway, nodes: list[FakeNode]) -> None:
    async with several_nodes("d") as (new,):
        new.fake.gates["HandleMessage"] = asyncio.Event()
        tell(*nodes, new)
        await before.has_streams(4)
        posting = asyncio.create_task(write(before, PEOPLE, "hi"))
        await new.fake.until(lambda: "HandleMessage" in new.fake.calls)
        for node in (*nodes, new):  # while a call of `d` has no result
            node.fake.name(*(each.named() for each in nodes))
        assert await posting == [200] * 12
        await new.attached(0)
        gone = new.fake.pulls[0].instance_id
        await nodes[0].fake.until(lambda: gone in [release.instance_id for release in nodes[0].fake.releases])


async def test_leases_of_a_node_that_is_cut_from_this_gateway_alone_are_released(
    before: Gateway, nodes: list[FakeNode]
) -> None:
    lost = nodes[2].fake.pulls[0].instance_id
    nodes[0].fake.releases.clear()
    await nodes[2].die()  # the others still name it
    async with asyncio.timeout(5):
        await nodes[0].fake.until(lambda: lost in [release.instance_id for release in nodes[0].fake.releases])


async def test_nodes_that_disagree_are_all_used(before: Gateway, nodes: list[FakeNode]) -> None:
    nodes[0].fake.name(nodes[0].named(), nodes[1].named())
    assert await write(before, PEOPLE, "hi") == [200] * 12
    assert [len(node.fake.streams) for node in nodes] == [1, 1, 1]


async def test_a_draining_node_gets_no_further_stream(
    before: Gateway, nodes: list[FakeNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_puller, "FIRST_PAUSE", 0.001)
    for node in nodes:
        node.fake.name(nodes[0].named(), nodes[1].named(), nodes[2].named(draining=True))
    await write(before, PEOPLE[:1], "the names have arrived")
    nodes[2].fake.end_stream()
    await nodes[2].attached(0)
    for number in range(5):
        assert await write(before, PEOPLE, f"{number}") == [200] * 12
    assert len(nodes[2].fake.pulls) == 1


async def test_all_nodes_away_and_back(before: Gateway, nodes: list[FakeNode]) -> None:
    for node in nodes:
        await node.running.stop()
        node.cable.cut()
    posting = asyncio.create_task(write(before, PEOPLE, "hi"))
    for node in nodes:
        await node.running.start()
    assert await posting == [200] * 12
    for node in nodes:
        await node.attached()


async def test_separate_calls_find_a_node_while_the_known_address_leads_nowhere(
    before: Gateway, nodes: list[FakeNode]
) -> None:
    await nodes[0].die()
    await write(before, PEOPLE, "the loss is noticed")
    async with asyncio.timeout(4):
        assert (
            await before.post(webhook(notice(old_phone="15550001", type="user_changed_number", wa_id="15550002")))
            == 200
        )
        assert (await before.get("/readyz"))[0] == 200
    assert sum(len(node.fake.links) for node in nodes[1:]) == 1
    await before.stop()
    released = [each.instance_id for node in nodes[1:] for each in node.fake.releases]
    assert {node.fake.pulls[0].instance_id for node in nodes} <= set(released)


LIES = {
    "unused": "a port where nothing listens",
    "nonsense": "https://example.com/",
    "scheme": "unix:/tmp/socket",
    "every": ":50051",
    "other": "another node's address",
    "elsewhere": "192.0.2.1:50051",
    "port": "127.0.0.1:99999",
    "empty": "",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_wrong_address_of_a_node_delays_no_message(
    start_gateway: Start, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with several_nodes("a", "b") as (a, b):
        address = {"unused": f"127.0.0.1:{free_port()}", "other": a.address}.get(lie, LIES[lie])
        a.fake.name(a.named(), b.named(address=address))
        gateway: Gateway = await start_gateway(kernel_address=a.address)
        await a.attached()
        async with asyncio.timeout(4):
            for words in ("one", "two"):
                assert await write(gateway, PEOPLE, words) == [200] * 12
        assert texts(a) == ["one"] * 12 + ["two"] * 12
        assert len(a.fake.streams) == 1
        if lie == "other":  # items that `a` leased to the wrong stream go to others at once, and it is not opened again
            wrong = next(pull.instance_id for pull in a.fake.pulls[1:])
            await a.fake.until(lambda: [each.instance_id for each in a.fake.releases].count(wrong) == 2)
            assert await write(gateway, PEOPLE, "three") == [200] * 12
            assert len(a.fake.pulls) == 2
        a.fake.name(a.named(), b.named(address=address))
        assert caplog.text.count("node b at") <= 1
        await gateway.stop()


async def test_two_gateways_that_see_different_nodes(nodes: list[FakeNode], start_gateway: Start) -> None:
    nodes[0].fake.name(nodes[0].named())
    for node in nodes[1:]:
        node.fake.name(nodes[1].named(), nodes[2].named())
    one, other = [await start_gateway(kernel_address=node.address) for node in nodes[:2]]
    await one.has_streams(1)
    await other.has_streams(2)
    assert await write(one, PEOPLE, "one") == [200] * 12
    assert await write(other, PEOPLE, "other") == [200] * 12
    assert texts(nodes[0]) == ["one"] * 12
    assert texts(nodes[1], nodes[2]) == ["other"] * 12
