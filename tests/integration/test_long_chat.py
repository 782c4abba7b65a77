"""A long chat of the whole pair: it is compacted, survives restarts, and its requests begin alike."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from tests.integration.test_conversation import connect
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

LONG = "words " * 500


async def test_long_chat_is_compacted_and_its_requests_begin_alike(tmp_path: Path) -> None:
    async with whole_world(tmp_path, openai_compact_turns=4) as world:
        alice, openai = world.phone("Alice"), world.emulators.openai
        await connect(world, alice)
        connected = len(openai.requests)
        await world.ask(alice, "my name is Alice")
        await world.ask(alice, "list my tasks")
        await world.stop_kernel()
        await world.start_kernel()
        for _ in range(3):
            await world.ask(alice, LONG)
        assert world.emulators.effects.all("model_compaction")
        begins = [b'"type":"compaction"' in sent for sent in map(orjson.dumps, map(items, openai.requests[connected:]))]
        compacted = begins.index(True) if True in begins else len(begins)
        assert min(shares(openai.requests[connected : connected + compacted])) >= 0.95
        await world.stop_kernel()
        await world.start_kernel()
        assert (await world.ask(alice, "what is my name")).text == "Your name is Alice."
        assert items(openai.requests[-1])[0]["type"] == "compaction"


def items(call: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call.body["input"]
    return found


def shares(calls: list[Any]) -> list[float]:
    """For each pair of requests: the part of the first with which the second begins."""
    sent = [orjson.dumps(call.body) for call in calls]
    return [_common(before, after) / len(before) for before, after in pairwise(sent)]


def _common(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
