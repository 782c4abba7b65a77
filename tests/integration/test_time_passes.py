"""Time is let pass, as on the phones page, in the middle of everything. Nothing is lost, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

if TYPE_CHECKING:
    from emulators.faults import Call
    from tests.integration.world import World

HOUR = 3600.0
DAY = 24 * HOUR


def is_text(call: Call) -> bool:
    return bool(call.body.get("type") == "text")


async def test_everybody_has_the_same_time_at_once(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    world.pass_time(DAY + HOUR)
    before = datetime.fromtimestamp(world.now(), UTC)
    assert (before - datetime.now(UTC)).total_seconds() > DAY
    told = (await world.ask(alice, "what time is it")).text
    after = datetime.fromtimestamp(world.now(), UTC)
    assert told in {f"You wrote on {at:%A, %Y-%m-%d at %H:%M} UTC." for at in (before, after)}
    assert (await world.replies_to(alice))[0].created_at.seconds >= before.timestamp() - 1


async def test_a_restart_keeps_the_time_that_has_passed(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    world.pass_time(30 * DAY)
    await world.ask(alice, "hello again")
    await world.stop_kernel()
    await world.start_kernel()
    assert "message 3 of our chat" in (await world.ask(alice, "and again")).text
    assert (await world.replies_to(alice))[0].created_at.seconds >= world.now() - HOUR


async def test_a_day_passes_while_the_model_thinks(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    await alice.send("hello")
    await hold.reached.wait()
    world.pass_time(DAY - HOUR)
    hold.release()
    assert "hello" in (await alice.wait_for_message()).text
    assert "message 2 of our chat" in (await world.ask(alice, "hello again")).text
    assert len(alice.received) == 2


async def test_a_day_passes_while_a_reply_is_sent(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.whatsapp.graph.before.hold(is_text)
    await alice.send("hello")
    await hold.reached.wait()
    world.pass_time(DAY - HOUR)
    while (await world.replies_to(alice))[0].state != admin_pb2.REPLY_STATE_IN_DOUBT:
        pass  # until a sweep has found that its lease is over
    hold.release()
    await alice.wait_for_message()
    assert "message 2 of our chat" in (await world.ask(alice, "hello again")).text
    sends = [effect for effect in world.emulators.effects.all("graph_send") if effect.detail.get("type") == "text"]
    assert len(sends) == len({effect.key for effect in sends}) == 2


async def test_a_day_passes_while_a_webhook_is_not_accepted(world: World) -> None:
    alice = world.phone("Alice")
    await world.stop_kernel()
    sending = asyncio.create_task(alice.send("hello"))
    await asyncio.sleep(0)
    world.pass_time(DAY - HOUR)
    await world.start_kernel()
    await sending
    assert "message 1 of our chat" in (await alice.wait_for_message()).text
