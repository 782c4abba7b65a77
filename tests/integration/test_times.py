"""The model knows when each message was sent, in the person's time zone if a channel has reported it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import messages_pb2

from tests.integration.world import TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from tests.integration.world import World

SENT = 1_795_953_600
"""2026-11-29 12:00 UTC, a Sunday."""
_numbers = count()


async def ask(world: World, text: str, zone: str = "", sent: int = 0) -> str:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id=f"m{next(_numbers)}",
        payload=messages_pb2.Payload(text=text),
        time_zone=zone,
    )
    if sent:
        request.payload.sent_at.FromSeconds(sent)
    answer = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=60)
    return str(answer.replies[0].text)


async def test_on_whatsapp_the_time_is_in_utc(world: World) -> None:
    alice = world.phone("Alice")
    before = datetime.now(UTC)
    told = (await world.ask(alice, "what time is it")).text
    assert told in {f"You wrote on {at:%A, %Y-%m-%d at %H:%M} UTC." for at in (before, datetime.now(UTC))}


async def test_a_zone_that_a_channel_knows_is_kept(world: World) -> None:
    world.wall = lambda: max(time.time(), SENT + 5.0)
    sent = int(world.wall())
    hour = f"{datetime.fromtimestamp(sent, UTC):%H:%M}"
    assert f"at {hour} UTC." in await ask(world, "what time is it", sent=sent)
    assert "Europe/Vienna (UTC+0" in await ask(world, "what time is it", "Europe/Vienna", sent=sent)
    await world.stop_kernel()
    await world.start_kernel()
    assert "Europe/Vienna (UTC+0" in await ask(world, "what time is it", sent=sent)
    assert "Asia/Tokyo (UTC+09:00)" in await ask(world, "what time is it", "Asia/Tokyo", sent=sent)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "x" * 10_000, "europe/vienna"])
async def test_an_invalid_zone_loses_no_message(world: World, zone: str) -> None:
    assert "hello" in await ask(world, "hello", zone)
    assert " UTC." in await ask(world, "what time is it", zone)


async def test_the_beginning_of_a_request_stays_byte_for_byte(world: World) -> None:
    alice, now = world.phone("Alice"), time.time()
    for days in (0, 1, 40):
        later = now + days * 86_400
        world.wall = lambda at=later: at  # type: ignore[misc]
        await world.ask(alice, "hello")
    bodies: list[Any] = [call.body for call in world.emulators.openai.requests if call.path.endswith("/responses")]
    assert len({body["instructions"] for body in bodies}) == 1
    for earlier, following in pairwise(bodies):
        assert following["input"][: len(earlier["input"])] == earlier["input"]


async def test_a_zone_is_stored_when_it_changes(world: World) -> None:
    moved: list[bool] = []
    store: Any = world.kernel.store
    accept = store.inbox.accept

    async def noted(*message: Any, **more: Any) -> Accepted:
        accepted: Accepted = await accept(*message, **more)
        moved.append(accepted.has_moved)
        return accepted

    store.inbox.accept = noted
    for zone in ("Europe/Vienna", "Europe/Vienna", "", "Asia/Tokyo", "Nowhere", "Asia/Tokyo", "Europe/Vienna"):
        await ask(world, "hello", zone)
    assert moved == [True, False, False, True, False, False, True]
