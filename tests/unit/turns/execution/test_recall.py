"""The facts about a person: shown once in each context, and read from the store only then."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.memory import Recalled
from kernel_service.ports.tools import ToolResult
from tests.unit.turns.context.test_context_window import LIMIT, Recorder
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.ports.model import UserInput
    from tests.unit.turns.scene import Scene

FACTS = "[facts]"


class Forgetful(Recorder):
    """Shows where it is shown facts."""

    def user_item(self, given: UserInput) -> dict[str, Any]:
        if isinstance(given.said, Recalled):
            return {"type": "message", "role": "user", "content": FACTS}
        return super().user_item(given)


def showings(items: list[bytes]) -> list[int]:
    return [place for place, item in enumerate(items) if FACTS.encode() in item]


@pytest.fixture
def reads(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The people whose memory is read."""
    seen: list[str] = []
    read = scene.store.memory.of_person

    async def of_person(person_id: str) -> Any:
        seen.append(person_id)
        return await read(person_id)

    monkeypatch.setattr(scene.store.memory, "of_person", of_person)
    return seen


async def test_each_request_shows_the_facts_once_however_often_the_context_is_shortened(
    scene: Scene, reads: list[str]
) -> None:
    model = scene.model = Forgetful()
    await scene.hear("hello", 0)
    await scene.store.memory.remember(scene.person_id, "Takes tea", now=scene.clock())
    kernel = await scene.activated()
    await scene.store.context.shrink(scene.person_id, kernel.epoch, keep=0, tokens=LIMIT)
    for number in range(1, 60):
        if number % 9 == 0:
            kernel = await scene.activated()
        await scene.run(kernel)
        await scene.hear(f"message {number} " * 6, number)
    assert all(len(showings(items)) == 1 for items in model.sent)
    shortened = sum(len(following) < len(one) for one, following in pairwise(model.sent))
    assert shortened
    assert len(reads) == 1 + shortened


async def test_a_person_without_facts_costs_no_read(scene: Scene, reads: list[str]) -> None:
    kernel = None
    for number in range(3):
        await scene.hear("hello", number)
        kernel = kernel or await scene.activated()
        scene.model.says = [says("hello")]
        await scene.run(kernel)
    assert not reads


async def test_a_turn_that_changes_the_memory_lets_the_next_one_ask_the_store(scene: Scene) -> None:
    for number, result in enumerate(
        (ToolResult("looked", own=True), ToolResult("kept", own=True, changes_memory=True))
    ):
        await scene.hear("hello", number)
        kernel = await scene.activated()
        scene.act.result = result
        scene.model.says = [calls("act"), says("done")]
        await scene.run(kernel)
        assert (kernel.foresight is None) is result.changes_memory
