"""Each request begins with the bytes of the one before it, since vendors find only those in their caches."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from emulators.openai.turns import Text, ToolCall
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.compaction_rule import CompactionRule
from tests.unit.turns.chat import Chat, chatting
from tests.unit.turns.scene import FakeTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.turns.scene import Scene

LEAST = 0.95


@pytest.fixture
async def chat(scene: Scene) -> AsyncIterator[Chat]:
    async with chatting(scene) as running:
        yield running


def shares(sent: list[bytes]) -> list[float]:
    """For each pair of requests: the part of the first with which the second begins."""
    return [_common(before, after) / len(before) for before, after in pairwise(sent)]


def _common(one: bytes, other: bytes) -> int:
    """The length of the beginning that both share."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


async def test_requests_of_texts_and_calls_begin_alike_even_after_restarts(chat: Chat) -> None:
    chat.scene.look.result = ToolResult("found öäü 測試 " * 400, own=False)
    for number in range(24):
        if number % 3 == 0:
            chat.emulators.openai.script([[Text("let me see"), ToolCall("look", {})], [ToolCall("act", {})], "done"])
        if number % 5 == 0:
            chat.restart()
        await chat.ask(f"message {number}")
    assert len(chat.client.sent) == 40
    assert min(shares(chat.client.sent)) >= LEAST


async def test_tools_of_a_search_stay_offered(chat: Chat) -> None:
    found = [FakeTool(f"MAIL_{number}", read_only=True) for number in range(3)]
    search = FakeTool("search_tools", read_only=True)
    search.results = [
        ToolResult('{"found":[{"name":"MAIL_0"},{"name":"MAIL_1"}]}', found=(found[0], found[1]), own=True)
    ]
    chat.tools += [search]
    chat.found = found
    chat.emulators.openai.script([[ToolCall("search_tools", {})], [ToolCall("MAIL_0", {})], "done"])
    await chat.ask("look into my mails")
    searched = len(chat.client.sent)
    for number in range(6):
        if number % 2 == 0:
            chat.restart()
        await chat.ask(f"message {number}")
    assert min(shares(chat.client.sent[searched - 2 :])) >= LEAST
    assert b'"MAIL_1"' in chat.client.sent[-1]


async def test_only_a_compaction_changes_the_beginning(chat: Chat) -> None:
    chat.rule(CompactionRule(60_000, 6))
    for number in range(30):
        chat.emulators.openai.script([[ToolCall("look", {})], "done"] if number % 4 == 0 else ["word " * 400])
        await chat.ask(f"message {number} " * 20)
    sent = chat.client.sent
    begins = [b'"compaction","encrypted_content"' in body for body in sent]
    changed = [number for number, share in enumerate(shares(sent)) if share < LEAST]
    compacted = len(chat.emulators.effects.all("model_compaction"))
    assert any(begins)
    assert len(changed) <= compacted


async def test_streamed_requests_begin_as_others(chat: Chat) -> None:
    await chat.ask("one")
    await chat.ask("two", watched=True)
    await chat.ask("three")
    assert b'"stream":true' in chat.client.sent[1]
    assert b'"stream":true' not in chat.client.sent[2]
    assert min(shares(chat.client.sent)) >= LEAST
