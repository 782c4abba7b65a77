"""A channel on `kernel_client`, against the whole product: what it is told, and what it survives."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import identity_pb2

from kernel_client import Delivery, KernelClient, KernelError, Payload
from kernel_client.advice import ADVICE
from tests.integration.cable import Cable
from tests.integration.world import TELEGRAM_TOKEN, whole_world
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.integration.world import World

ADA = "telegram:ada"
BOB = "telegram:bob"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path) as running:
        yield running


async def take(kernel: KernelClient, count: int) -> list[str]:
    """The texts of the next replies, in their order."""
    return [text for _, text in await take_from(kernel, count)]


async def take_from(kernel: KernelClient, count: int) -> list[tuple[str, str]]:
    """The next replies, in their order: the user id and the text of each."""
    taken: list[tuple[str, str]] = []
    async with aclosing(kernel.replies("telegram")) as replies:
        async for reply in replies:
            taken.append((reply.user_id, reply.text))
            assert await reply.delivered(f"m{len(taken)}")
            if len(taken) == count:
                break
    return taken


def is_of_client(task: asyncio.Task[Any]) -> bool:
    code: Any = getattr(task.get_coro(), "cr_code", None)
    return code is not None and ("kernel_client" in code.co_filename or "_AioCall" in code.co_qualname)


async def test_a_channel_talks_and_leaves_nothing_behind(world: World) -> None:
    before = asyncio.all_tasks()
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel:
        assert await kernel.ready()
        await kernel.send(ADA, "my name is Ada", time_zone="Europe/Vienna")
        (reply,) = await kernel.send(ADA, "what is my name", message_id="2")
        assert reply.text == "Your name is Ada."
        (repeated,) = await kernel.send(ADA, "what is my name", message_id="2")
        assert repeated == reply
        events = [event async for event in kernel.stream(ADA, "what is my name")]
        assert events[-1].completed.replies[0].text == "Your name is Ada."
        assert (await kernel.connect_link(ADA, "asana")).url.startswith("http")
        schedule = await kernel.schedule(ADA, "water the plants", is_reminder=True, cron="30 8 * * 1-5")
        assert [each.id for each in await kernel.schedules(ADA)] == [schedule.id]
        assert await kernel.delete_schedule(ADA, schedule.id) == schedule
        assert await kernel.delete_schedule(ADA, schedule.id) is None
        assert [each.toolkit for each in await kernel.connections(ADA)] == ["asana"]
        assert [each.toolkit for each in await kernel.disconnect(ADA, toolkit="asana")] == ["asana"]
        assert (await kernel.memory(ADA)).time_zone == "Europe/Vienna"
        known, other = (
            identity_pb2.Alias(user_id=user_id, strength=identity_pb2.ALIAS_STRENGTH_STRONG)
            for user_id in (ADA, f"{ADA}-renamed")
        )
        outcome = await kernel.link_identity(known, other)
        assert outcome == identity_pb2.LINK_OUTCOME_LINKED
        await kernel.submit(other.user_id, "what is my name")
        assert await take(kernel, 1) == ["Your name is Ada."]
        await kernel.submit(ADA, "what is my name")
        async for delivery in kernel.replies("telegram"):
            assert await delivery.delivered()
            break  # and its generator is left to the loop
        endless = kernel.replies("telegram")
        waiting = asyncio.create_task(anext(endless, None))
        await asyncio.sleep(0)
    assert await waiting is None, "an iteration ends with the client"
    async with asyncio.timeout(5):
        while any(is_of_client(task) for task in asyncio.all_tasks() - before):
            await asyncio.sleep(0)  # gRPC ends its calls in the loop's next steps


async def test_refusals_say_what_to_do(world: World) -> None:
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel:
        for user_id, message, reason, told in (
            (ADA, "", "FIELD_REQUIRED", "`payload.text`"),
            ("whatsapp:1", "hello", "CHANNEL_MISMATCH", "token of the channel"),
            ("ada", "hello", "USER_ID_INVALID", "<channel>:<id>"),
            ("telegram:default", "hello", "USER_ID_RESERVED", "belongs to one person"),
        ):
            with pytest.raises(KernelError, match=told) as refused:
                await kernel.send(user_id, Payload(text=message))
            assert (refused.value.reason, refused.value.retryable) == (reason, False)


@pytest.mark.parametrize(
    ("channel", "options", "reason"),
    [
        ("whatsapp", {}, "CHANNEL_MISMATCH"),
        ("typo", {}, "CHANNEL_MISMATCH"),
        ("", {}, "FIELD_REQUIRED"),
        ("telegram", {"max_in_flight": 100_000}, "FIELD_INVALID"),
    ],
)
async def test_an_iteration_that_the_service_refuses_ends_and_says_what_to_do(
    world: World, channel: str, options: dict[str, Any], reason: str
) -> None:
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel, asyncio.timeout(10):
        with pytest.raises(KernelError, match=ADVICE[reason]) as refused:
            await anext(kernel.replies(channel, **options))
    assert refused.value.reason == reason


@pytest.mark.parametrize("kind", ["send", "stream", "submit", "replies", "memory"])
async def test_a_token_that_was_never_accepted_is_refused_at_once(world: World, kind: str) -> None:
    async with KernelClient(world.kernel_address, "of-another-service") as kernel, asyncio.timeout(10):
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "send": lambda: kernel.send(ADA, "hello"),
            "stream": lambda: anext(kernel.stream(ADA, "hello")),
            "submit": lambda: kernel.submit(ADA, "hello"),
            "replies": lambda: anext(kernel.replies("telegram")),
            "memory": lambda: kernel.memory(ADA),
        }
        with pytest.raises(KernelError, match="KERNEL_CHANNEL_TOKENS") as refused:
            await calls[kind]()
    assert (refused.value.reason, refused.value.retryable) == ("TOKEN_INVALID", True)


async def test_a_channel_outlasts_a_time_in_which_its_token_is_unknown(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = world.settings["kernel_channel_tokens"]
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel, asyncio.timeout(60):
        await kernel.submit(ADA, "my name is Ada")
        taking = asyncio.create_task(take(kernel, 2))
        await with_tokens(world, tokens.replace(TELEGRAM_TOKEN, "of-another-channel"))
        submitted = asyncio.create_task(kernel.submit(BOB, "hello"))
        while caplog.text.count("KERNEL_CHANNEL_TOKENS") < 2:
            await asyncio.sleep(0.01)
        assert [taking.done(), submitted.done()] == [False, False]
        await with_tokens(world, tokens)
        await submitted
        assert await taking


async def with_tokens(world: World, tokens: str) -> None:
    await world.stop_kernel()
    world.settings["kernel_channel_tokens"] = tokens
    await world.start_kernel()


async def test_without_a_service_a_call_ends_at_its_deadline() -> None:
    async with KernelClient(f"127.0.0.1:{free_port()}", TELEGRAM_TOKEN) as kernel, asyncio.timeout(10):
        with pytest.raises(KernelError, match="Nothing answers") as refused:
            await kernel.send(ADA, "hello", timeout=0.3)
    assert refused.value.reason == "UNREACHABLE"


async def test_a_restart_of_the_service_costs_no_reply(world: World) -> None:
    """Each message is of another person: those of one person may be answered together after the restart."""
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel, asyncio.timeout(60):
        await kernel.submit(ADA, "hello")
        taking = asyncio.create_task(take_from(kernel, 2))
        await world.stop_kernel()
        submitted = asyncio.create_task(kernel.submit(BOB, "hello"))
        await world.start_kernel()
        await submitted
        assert sorted(user_id for user_id, _ in await taking) == [ADA, BOB]


async def test_a_connection_that_breaks_or_falls_silent_is_replaced(world: World) -> None:
    world.emulators.openai.script(["One.", "Two.", "Three."])
    cable = Cable(int(world.kernel_address.rpartition(":")[2]))
    await cable.plug_in()
    async with KernelClient(cable.address, TELEGRAM_TOKEN) as kernel, asyncio.timeout(60):
        await kernel.submit(ADA, "one")
        assert await take(kernel, 1) == ["One."]
        taking = asyncio.create_task(take(kernel, 2))
        await kernel.submit(ADA, "two")
        cable.cut()
        cable.go_silent()
        asyncio.get_running_loop().call_later(2, cable.cut)
        asyncio.get_running_loop().call_later(2, cable.speak)
        await kernel.submit(ADA, "three")
        assert await taking == ["Two.", "Three."]
    await cable.unplug()


async def test_of_two_clients_one_gets_a_reply_and_the_other_gets_what_it_left(world: World) -> None:
    world.emulators.openai.script(["One.", "Two."])
    first = KernelClient(world.kernel_address, TELEGRAM_TOKEN)
    async with first, KernelClient(world.kernel_address, TELEGRAM_TOKEN) as second:
        held = first.replies("telegram", max_in_flight=1)
        await first.submit(ADA, "one")
        got: Delivery = await anext(held)
        await second.submit(BOB, "two")
        assert await take(second, 1) == ["Two."]
        assert await got.retry("busy")
        await first.close()
        assert await take(second, 1) == ["One."]


async def test_a_slow_consumer_gets_each_reply_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_client.outbox.RENEW_SECONDS", 0.05)
    people = [f"telegram:{number}" for number in range(5)]
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel, asyncio.timeout(60):
        await asyncio.gather(*(kernel.submit(person, "my name is Ada") for person in people))
        seen: list[str] = []
        async with aclosing(kernel.replies("telegram")) as replies:
            async for reply in replies:
                seen.append(reply.user_id)
                await asyncio.sleep(0.12)
                world.pass_time(30)  # half a lease
                assert await reply.delivered()
                if len(seen) == len(people):
                    break
    assert sorted(seen) == people


async def test_duplicate_sends_at_the_same_time_are_one_message(world: World) -> None:
    async with KernelClient(world.kernel_address, TELEGRAM_TOKEN) as kernel:
        answers = await asyncio.gather(*(kernel.send(ADA, "my name is Ada", message_id="1") for _ in range(3)))
        assert answers[0] == answers[1] == answers[2]
        with pytest.raises(KernelError, match="different id") as refused:
            await kernel.send(ADA, "other words", message_id="1")
        assert refused.value.reason == "MESSAGE_ID_REUSED"


@pytest.mark.parametrize("token", ["", " ", "of-a-file-with-its-end\n", "größe-of-a-token"])
def test_a_token_that_cannot_be_sent_is_named_at_once(token: str) -> None:
    with pytest.raises(ValueError, match=r"^the token (is empty|holds)"):
        KernelClient("127.0.0.1:50051", token)


def test_plain_text_stays_on_this_machine() -> None:
    with pytest.raises(ValueError, match="tls_ca"):
        KernelClient("kernel.example:50051", "token")
