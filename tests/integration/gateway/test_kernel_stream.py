"""The gateway's calls over its stream, and without one: nothing is lost when the stream breaks."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from google.rpc import code_pb2

from tests.integration.gateway.payloads import text, webhook
from tests.integration.gateway.test_replies import key

if TYPE_CHECKING:
    from emulators.app import Emulators
    from tests.integration.gateway.conftest import Gateway, Start
    from tests.integration.gateway.fake_kernel import FakeKernel, Running


async def test_messages_and_acknowledgements_share_the_stream(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hello")  # may still be a separate call
    kernel.separate_calls.clear()
    await alice.send("hello again")
    kernel.lease("hi", user_id=key(alice))
    await alice.wait_for_message()
    await kernel.until(lambda: kernel.acks and kernel.receipts)
    assert kernel.separate_calls == []


async def test_an_older_service_gets_separate_calls(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators
) -> None:
    kernel.serves_streams = False
    await start_gateway()
    await kernel.until(lambda: kernel.pulls)
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hello")
    kernel.lease("hi", user_id=key(alice))
    await alice.wait_for_message()
    await kernel.until(lambda: kernel.acks and kernel.receipts)
    assert set(kernel.separate_calls) == {"ReleaseLeases", "PullOutbox", "HandleMessage", "AckOutbox", "ReportReceipts"}


async def test_a_service_that_is_replaced_by_an_older_one(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.serves_streams = False
    kernel.end_stream()
    await kernel.until(lambda: "PullOutbox" in kernel.calls)
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 200
    assert kernel.separate_calls[-1] == "HandleMessage"


async def test_a_message_without_a_result_is_sent_again_when_the_stream_ends(
    gateway: Gateway, kernel: FakeKernel
) -> None:
    await gateway.has_streams(1)
    kernel.gates["HandleMessage"] = asyncio.Event()
    posting = asyncio.create_task(gateway.post(webhook(text("US.A", "hi", "wamid.1"))))
    await kernel.until(lambda: "HandleMessage" in kernel.calls)
    kernel.end_stream()
    await kernel.until(lambda: kernel.calls.count("HandleMessage") == 2)
    kernel.gates["HandleMessage"].set()
    assert await posting == 200
    assert [message.message_id for message in kernel.messages] == ["wamid.1"]


async def test_streams_that_break_again_and_again_lose_nothing(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    phones = [emulators.whatsapp.add_phone(f"phone {number}") for number in range(4)]
    posts: list[asyncio.Task[Any]] = []
    for number in range(12):
        posts += [asyncio.create_task(phone.send(f"{number}")) for phone in phones]
        await kernel.until(partial(kernel.has_messages, number + 1))
        kernel.end_stream()
    await asyncio.gather(*posts)
    for phone in phones:
        assert sorted(kernel.texts_of(key(phone)), key=int) == [str(number) for number in range(12)]


async def test_a_retryable_error_of_a_call_is_redelivered(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.refusals["HandleMessage"] = lambda _: (code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING")
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 503
    kernel.refusals.clear()
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 200
    assert await gateway.count('kernel_errors_total{reason="TOO_MANY_PENDING"}') == 1


async def test_a_call_that_meets_a_draining_service_is_repeated_until_one_serves(
    gateway: Gateway, kernel: FakeKernel
) -> None:
    refusals = iter([(code_pb2.UNAVAILABLE, "DRAINING")] * 2)
    kernel.refusals["HandleMessage"] = lambda _: next(refusals, None)
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 200
    assert kernel.texts_of("whatsapp:US.A") == ["hi"]


async def test_a_call_that_is_not_answered_in_time_is_redelivered(start_gateway: Start, kernel: FakeKernel) -> None:
    gateway: Gateway = await start_gateway(accept_seconds=1)
    await kernel.until(lambda: kernel.pulls)
    kernel.gates["HandleMessage"] = asyncio.Event()
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 503
    kernel.gates["HandleMessage"].set()
    assert await gateway.post(webhook(text("US.A", "hi", "wamid.1"))) == 200
    assert [message.message_id for message in kernel.messages] == ["wamid.1"]


async def test_after_a_restart_of_the_service_the_stream_is_opened_again(
    gateway: Gateway, kernel: FakeKernel, running_kernel: Running
) -> None:
    await running_kernel.stop()
    posting = asyncio.create_task(gateway.post(webhook(text("US.A", "hi", "wamid.1"))))
    await running_kernel.start()
    assert await posting == 200
    await kernel.until(lambda: kernel.calls.count("ServeChannel") == 2)
    assert await gateway.post(webhook(text("US.A", "again", "wamid.2"))) == 200
    assert kernel.texts_of("whatsapp:US.A") == ["hi", "again"]
