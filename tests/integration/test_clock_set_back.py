"""The machine's clock jumps back by an hour. No reply waits for that hour again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kernel_service.storage.outbox import delivery

if TYPE_CHECKING:
    import pytest

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

HOUR = 3600.0


async def test_a_scheduled_retry_is_sent_at_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await told_to_wait(world, monkeypatch)
    world.wall = lambda: time.time() - HOUR
    assert "before the jump" in (await alice.wait_for_message()).text
    assert "after the jump" in (await world.ask(alice, "after the jump")).text
    assert caplog.text.count("was set back by 3600 s") == 1


async def test_a_scheduled_retry_is_sent_at_its_time_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await told_to_wait(world, monkeypatch)
    await world.stop_kernel()
    world.wall = lambda: time.time() - HOUR
    await world.start_kernel()
    assert "before the jump" in (await alice.wait_for_message()).text
    assert "after the jump" in (await world.ask(alice, "after the jump")).text
    assert "behind the newest stored time" in caplog.text


async def told_to_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> Phone:
    """A person whose answer WhatsApp has refused for the moment."""
    monkeypatch.setattr(delivery, "_backoff", lambda attempts: 1.0)
    alice = world.phone("Alice")
    world.emulators.whatsapp.fail_next(131000, match=lambda call: call.body.get("type") == "text")
    await alice.send("before the jump")
    while [reply.error_code for reply in await world.replies_to(alice)] != ["131000"]:
        pass
    return alice
