"""Words of a tool that the person reads with the answer, whether the model repeats them or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.tools import ToolResult
from kernel_service.turns.limits import TurnLimits
from kernel_service.turns.replies.answer_replies import with_confirmations
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

WORDS = "Every day at 09:00, Berlin time; next: tomorrow, Thursday."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Done.", f"Done.\n\n{WORDS}"),
        ("", WORDS),
        (WORDS, WORDS),
        (f"Set: {WORDS.removesuffix('.')}!", f"Set: {WORDS.removesuffix('.')}!"),
        ("**every day at 09:00**, Berlin time,\nnext tomorrow (Thursday)",) * 2,
        ("Every day at 19:00, Berlin time; next: tomorrow, Thursday.",
         f"Every day at 19:00, Berlin time; next: tomorrow, Thursday.\n\n{WORDS}"),
    ],
)  # fmt: skip
def test_words_that_the_answer_lacks_stand_below_it(text: str, told: str) -> None:
    assert with_confirmations(text, [WORDS]) == told
    assert with_confirmations(text, []) == text


async def test_they_survive_an_attempt_that_failed_after_the_call(scene: Scene) -> None:
    scene.act.result = ToolResult("set", own=True, confirmed=WORDS)
    scene.model.says = [calls("act"), RuntimeError("the process had to stop here")]
    await scene.hear()
    await scene.run()
    scene.clock.now += 1_000
    scene.model.says = [says("Done.")]
    await scene.run()
    assert await scene.told() == [f"Done.\n\n{WORDS}"]
    assert scene.act.calls == 1


async def test_a_turn_that_breaks_off_still_confirms_what_it_did(scene: Scene) -> None:
    scene.limits = TurnLimits(steps=1)
    scene.act.result = ToolResult("set", own=True, confirmed=WORDS)
    scene.model.says = [calls("act"), calls("look"), calls("look")]
    await scene.hear()
    await scene.run()
    [told] = await scene.told()
    assert told.endswith(f"\n\n{WORDS}")
