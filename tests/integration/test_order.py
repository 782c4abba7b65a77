"""The model gets a person's messages in the order of writing, in spite of delays and retries."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World


WORDS = ("one", "two", "three", "four")
PACE = 1.2
DEBOUNCE = 0.3
KEYS = f"test:{base64.b64encode(b'test'.ljust(32)).decode()}"
"""Those that the tests' PostgreSQL template was made with."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> dict[str, object]:
    """The settings that select this database."""
    if request.param == "sqlite":
        return {}
    return {"kernel_database_url": request.getfixturevalue("postgres_url"), "kernel_encryption_keys": KEYS}


@pytest.fixture
async def gathering(tmp_path: Path, database: dict[str, object]) -> AsyncIterator[World]:
    async with whole_world(tmp_path, kernel_debounce_seconds=DEBOUNCE, **database) as world:
        yield world


@pytest.fixture(params=[1, 2], ids=["one gateway", "two gateways"])
async def gateways(request: pytest.FixtureRequest, gathering: World) -> World:
    if request.param == 2:
        await gathering.start_another_gateway()
    return gathering


def written(phone: Phone, words: Sequence[str] = WORDS, *, ago: float = 6.0) -> list[ChatMessage]:
    """Composed messages, 1.2 s apart, the first of them `ago` seconds ago. None is sent yet."""
    messages = [phone.compose("text", {"body": word}, word) for word in words]
    for number, message in enumerate(messages):
        message.at = time.time() - ago + number * PACE
    return messages


def heard(world: World) -> list[list[str]]:
    """The messages in each model call, in their order."""
    return [effect.detail["text"].split("\n") for effect in world.emulators.effects.all("model_call")]


async def test_messages_delayed_by_a_restart_are_read_in_their_order(gateways: World) -> None:
    phones = [gateways.phone(f"p{number}") for number in range(3)]
    await gateways.stop_kernel()
    ways = [phone.carry(message) for phone in phones for message in written(phone)]
    async with asyncio.timeout(30):
        await gateways.start_kernel()
        await asyncio.gather(*ways)
    for phone in phones:
        await phone.wait_for_message(timeout=30)
    assert heard(gateways) == [list(WORDS)] * len(phones)


@pytest.mark.parametrize("seed", range(2))
async def test_messages_that_arrive_out_of_order_are_read_in_their_order(gateways: World, seed: int) -> None:
    phone = gateways.phone("Alice")
    messages = written(phone, ago=4.5)
    random.Random(seed).shuffle(messages)
    for message in messages:
        await phone.carry(message)
    await phone.wait_for_message(timeout=30)
    assert heard(gateways) == [list(WORDS)]


async def test_a_redelivered_message_joins_at_its_position(gateways: World) -> None:
    """The first one was refused, and arrives during the model call for the others."""
    phone = gateways.phone("Alice")
    first, *others = written(phone)
    hold = gateways.emulators.openai.hold()
    await asyncio.gather(*(phone.carry(message) for message in others))
    await hold.reached.wait()
    await phone.carry(first)
    hold.release()
    await phone.wait_for_message(timeout=30)
    assert heard(gateways)[-1] == list(WORDS)


async def test_a_message_after_the_answer_is_answered_next_and_none_is_read_again(gathering: World) -> None:
    phone = gathering.phone("Alice")
    first, *others = written(phone)
    await asyncio.gather(*(phone.carry(message) for message in others))
    await phone.wait_for_message(timeout=30)
    await phone.carry(first)
    await phone.wait_for_message(timeout=30)
    assert heard(gathering) == [list(WORDS[1:]), ["one"]]


async def test_a_message_sent_before_a_stop_but_received_after_it_is_not_answered(gathering: World) -> None:
    phone = gathering.phone("Alice")
    before, stop, after = written(phone, ["before", "stop", "after"])
    await phone.carry(stop)
    assert "Stopped" in (await phone.wait_for_message(timeout=30)).text
    await phone.carry(before)
    await phone.carry(after)
    await phone.wait_for_message(timeout=30)
    assert heard(gathering) == [["after"]]


async def test_a_new_chat_separates_earlier_from_later_messages(gathering: World) -> None:
    phone = gathering.phone("Alice")
    for message in reversed(written(phone, ["before", "new chat", "after"], ago=12)):
        await phone.carry(message)
    answers = [(await phone.wait_for_message(timeout=30)).text for _ in range(3)]
    assert answers[1] == texts.answers.NEW_CHAT
    assert heard(gathering) == [["before"], ["after"]]
