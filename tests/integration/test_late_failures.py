"""WhatsApp accepts an answer and later reports its failure: it is sent again, held, or shown as failed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from emulators.whatsapp.errors import status_error
from kernel_service import texts
from kernel_service.storage.outbox import delivery
from tests.integration.test_kernelctl import ctl
from whatsapp_gateway.model.invitations import OPENS_WINDOW

if TYPE_CHECKING:
    import pytest

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World


async def answered_and_failed(world: World, code: int) -> Phone:
    """A person whose answer failed after its acceptance, and never reached their phone."""
    alice = world.phone("Alice")
    statuses = world.emulators.whatsapp.statuses
    statuses.withhold()
    answer = await world.ask(alice, "hello")
    await until(world, alice, "REPLY_STATE_SENT")
    statuses._withheld.clear()  # a failed message has no `delivered` status
    statuses.release()
    statuses.report(alice, answer, "failed", status_error(code, "A failure on request."))
    return alice


async def until(world: World, phone: Phone, state: str) -> None:
    async with asyncio.timeout(20):
        while (await shown(world, phone))["state"] != state:
            pass


async def shown(world: World, phone: Phone) -> dict[str, object]:
    """The newest reply in an operator's view."""
    replies = await ctl(world, "replies", f"whatsapp:{phone.user_id}")
    newest: dict[str, object] = json.loads(replies.stdout)["replies"][0]
    return newest


async def test_a_passing_failure_is_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_backoff", lambda _: 0.0)
    alice = await answered_and_failed(world, 131000)
    again = await alice.wait_for_message()
    assert again.text == alice.received[0].text
    await until(world, alice, "REPLY_STATE_SENT")


async def test_a_reply_too_late_for_the_window_waits_until_the_person_writes(world: World) -> None:
    alice = await answered_and_failed(world, 131047)
    await until(world, alice, "REPLY_STATE_HELD")
    await alice.send("still there?")
    first, second = await alice.wait_for_message(timeout=20), await alice.wait_for_message(timeout=20)
    assert first.text == alice.received[0].text
    assert "still there?" in second.text


async def test_an_operator_sees_the_part_and_the_code_of_a_permanent_failure(world: World) -> None:
    alice = await answered_and_failed(world, 131026)
    await until(world, alice, "REPLY_STATE_FAILED")
    reply = await shown(world, alice)
    assert reply["error_code"] == "131026"
    assert reply["parts"] == [{"part": 1, "receipt": "RECEIPT_STATE_FAILED", "error_code": "131026"}]


async def test_a_tap_that_opens_the_window_brings_what_is_held_and_reaches_no_model(world: World) -> None:
    alice = await answered_and_failed(world, 131047)
    await until(world, alice, "REPLY_STATE_HELD")
    asked = len(world.emulators.openai.requests)
    for _ in range(2):
        await alice.send_as("button", {"payload": OPENS_WINDOW, "text": "Show"})
    first, second = await alice.wait_for_message(timeout=20), await alice.wait_for_message(timeout=20)
    assert first.text == alice.received[0].text
    assert second.text == texts.answers.NOTHING_WAITS
    assert len(world.emulators.openai.requests) == asked
