"""A long conversation that the vendor compacts: what is shown afterwards, and what the store keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from emulators.openai.turns import Text, ToolCall
from kernel_service.kernels.outline import outline_of
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import COMPACTION, HistoryItem
from kernel_service.storage.schema.turns import item
from kernel_service.turns.compaction_rule import CompactionRule
from kernel_service.turns.context.context_window import ContextWindow
from kernel_service.turns.context.taint import is_tainted
from kernel_service.turns.context.transcript import Transcript
from tests.unit.turns.chat import Chat, chatting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.turns.scene import Scene

LONG = "word " * 500
"""About 830 estimated tokens."""


@pytest.fixture
async def chat(scene: Scene) -> AsyncIterator[Chat]:
    async with chatting(scene) as running:
        running.rule(CompactionRule(60_000, 5))
        yield running


async def until_compacted(chat: Chat) -> None:
    """A chat whose newest turn has a compaction."""
    await chat.ask("my name is Ada")
    while "compaction" not in kinds_of_answers(chat):
        await chat.ask(LONG)


def kinds(chat: Chat) -> list[str]:
    return [shown.get("type", "message") for shown in chat.last]


async def test_items_before_the_newest_compaction_are_not_sent(chat: Chat) -> None:
    await until_compacted(chat)
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert kinds(chat) == ["compaction", "message", "message"]
    assert chat.last[0]["id"].startswith("cmp_"), "it is kept as it came"
    chat.restart()
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert kinds(chat) == ["compaction", *["message"] * 4]


async def test_originals_stay_in_the_store_and_are_not_read(chat: Chat) -> None:
    await until_compacted(chat)
    stored = await chat.scene.store.engine.read(lambda tx: tx.execute(select(item.c.kind)).scalars().all())
    assert list(stored).count("input") == 6
    assert [one.kind for one in (await chat.scene.activated()).history.open_items()] == []
    read = await chat.scene.store.kernels.activate(chat.scene.person_id, owner="k", model=chat.model.origin)
    assert read.history[0].kind == COMPACTION


async def test_another_model_is_shown_the_originals(chat: Chat) -> None:
    await until_compacted(chat)
    chat.use("gpt-6.2-sol")
    await chat.ask("hello")
    assert "my name is Ada" in str(chat.last[0])
    assert "compaction" not in kinds(chat), "another model's is opaque"
    assert kinds(chat).count("message") == 13


async def test_originals_are_shown_again_after_a_change_of_the_key(chat: Chat) -> None:
    await until_compacted(chat)
    chat.emulators.openai.change_organisation("other")
    before = len(chat.client.sent)
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert len(chat.client.sent) == before + 2, "refused once"
    assert "my name is Ada" in str(chat.last[0])
    chat.restart()
    await chat.ask("hello")
    assert len(chat.client.sent) == before + 3
    assert "compaction" in kinds(chat), "it was compacted under the new key"


async def test_compaction_by_the_vendors_own_count(chat: Chat) -> None:
    chat.rule(CompactionRule(1500, 0))
    while "compaction" not in kinds_of_answers(chat):
        await chat.ask(LONG)
    await chat.ask("hello")
    assert kinds(chat)[0] == "compaction"
    assert 2 <= chat.turns <= 5


def kinds_of_answers(chat: Chat) -> set[str]:
    return {kind for call in chat.emulators.effects.all("model_call") for kind in call.detail["output"]}


async def test_compaction_in_a_streamed_answer(chat: Chat) -> None:
    chat.rule(CompactionRule(1500, 0))
    while "compaction" not in kinds_of_answers(chat):
        assert "You said" in await chat.ask(LONG, watched=True)
    await chat.ask("hello", watched=True)
    assert kinds(chat)[0] == "compaction"


async def test_compaction_within_a_turn_of_calls(chat: Chat) -> None:
    chat.rule(CompactionRule(1500, 0))
    chat.scene.look.result = ToolResult("found " * 2000, own=True)
    chat.emulators.openai.script([[ToolCall("look", {})], [ToolCall("look", {})], [Text("done")]])
    assert await chat.ask("look twice") == "done"
    assert kinds(chat) == ["compaction", "reasoning", "function_call", "function_call_output"]
    await chat.ask("hello")
    assert kinds(chat)[0] == "compaction"


@pytest.mark.parametrize("own", [True, False])
async def test_compaction_of_outside_words_taints(chat: Chat, *, own: bool) -> None:
    chat.scene.look.result = ToolResult("found", own=own)
    chat.emulators.openai.script([[ToolCall("look", {})], [Text("done")]])
    await chat.ask("look")
    await until_compacted(chat)
    assert chat.kernel
    outline = chat.kernel.history.ended.outline
    assert outline.startswith(b"c" if own else b"C")
    assert is_tainted(outline) is not own
    history = (
        await chat.scene.store.kernels.activate(chat.scene.person_id, owner="k", model=chat.model.origin)
    ).history
    assert outline_of(history)[:1] == outline[:1]


async def test_compaction_without_an_id_is_disowned_within_its_turn(chat: Chat) -> None:
    """Servers leave ids out, and an id that comes twice is dropped."""
    made = HistoryItem(COMPACTION, {"type": COMPACTION, "encrypted_content": "x"}, chat.model.origin)
    window = ContextWindow(Transcript([made], chat.model), chat.model, 1000)
    assert window.is_compacted
    assert window.disown() == chat.model.origin
    assert not window.is_compacted


@pytest.mark.parametrize("how", ["refused", "dropped"])
async def test_server_without_compaction_is_found_out_once(chat: Chat, how: str) -> None:
    chat.emulators.openai.compaction = how
    for _ in range(9):
        await chat.ask(LONG)
    asked = [b"context_management" in sent for sent in chat.client.sent]
    assert not chat.model.compacts
    assert not any(asked[7:]), "all know after the first refusal, or the first long request"
