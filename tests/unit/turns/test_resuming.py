"""A turn that leaves something to be done, and the code with which it goes on."""

from __future__ import annotations

import pytest

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.messages import Link
from kernel_service.storage.parked_requests import resume
from kernel_service.turns.resuming import Confirmed, ParkedRequest
from kernel_service.turns.tools import ToolResult
from tests.unit.turns.scene import Scene, calls, says

CODE = "BCDF-GHJK"
LINK = Link("https://door.example/connect/x", "Connect Asana")


async def resumed(scene: Scene, toolkit: str = "asana", seq: int = 99) -> list[str]:
    """What the connection of a toolkit lets go on."""
    await scene.store._engine.write(lambda tx: resume(tx, scene.person_id, toolkit, seq, scene.clock()))
    return await scene.store.resumed_by(scene.person_id, seq)


async def needs_asana(scene: Scene, remaining: str = "make the task", text: str = "do it") -> None:
    scene.look.result = ToolResult("a button goes out", link=LINK, parked=ParkedRequest("asana", remaining))
    await scene.hear(text)
    scene.model.says = [calls("look"), says("Please connect Asana.")]
    await scene.run()


async def test_what_remains_is_kept_with_the_end_of_the_turn(scene: Scene) -> None:
    await needs_asana(scene)
    assert await scene.told() == ["Please connect Asana."]
    assert await resumed(scene) == ["make the task"]


async def test_a_model_that_says_nothing_of_it_leaves_the_persons_words(scene: Scene) -> None:
    await needs_asana(scene, remaining="", text="create the task for tomorrow's demo")
    assert await resumed(scene) == ["create the task for tomorrow's demo"]


async def test_a_turn_that_does_not_end_well_leaves_nothing(scene: Scene) -> None:
    scene.look.result = ToolResult("a button", link=LINK, parked=ParkedRequest("asana", "make the task"))
    await scene.hear()
    scene.model.says = [calls("look")] * 4
    await scene.run()
    assert await scene.told() == [texts.TOO_MANY_STEPS]
    assert await resumed(scene) == []


async def test_a_code_is_answered_without_the_model(scene: Scene) -> None:
    scene.codes.says[CODE] = Confirmed("Asana is connected.")
    await scene.hear("connect bcdf-ghjk!")
    await scene.run()
    assert [asked[:3] for asked in scene.codes.asked] == [(scene.person_id, CODE, scene.seq)]
    assert await scene.told() == ["Asana is connected."]
    assert scene.model.shown == []
    assert await scene.history() == []


async def test_what_waited_goes_on_in_the_same_history_and_is_told_in_one_reply(scene: Scene) -> None:
    await needs_asana(scene)
    scene.codes.says[CODE] = Confirmed("Asana is connected.", "Asana", ("make the task",))
    await scene.hear(CODE, number=2)
    scene.model.says = [calls("act"), says("Done: I made the task.")]
    await scene.run()
    assert await scene.told() == ["Asana is connected.\n\nDone: I made the task."]
    shown = scene.model.shown[-1]
    assert scene.act.calls == 1
    assert [item.get("role") for item in shown if "role" in item] == ["user", "user"]
    assert CODE not in str(shown)


async def test_a_resumed_turn_that_is_cut_goes_on_where_it_was(scene: Scene) -> None:
    scene.codes.says[CODE] = Confirmed("Asana is connected.", "Asana", ("make the task",))
    await scene.hear(CODE)
    scene.model.says = [calls("act"), VendorUnavailable("model_unavailable")]
    await scene.run()
    assert scene.act.calls == 1
    scene.clock.now += 60
    scene.model.says = [says("Done.")]
    await scene.run()
    assert await scene.told() == ["Asana is connected.\n\nDone."]
    assert scene.act.calls == 1, "nothing done before is done again"
    assert [item.kind for item in await scene.history()] == ["input", "output", "result", "output"]


async def test_a_vendor_who_is_away_holds_the_code(scene: Scene) -> None:
    scene.codes.says[CODE] = VendorUnavailable("tools_unavailable")
    accepted_at = scene.clock.now
    await scene.hear(CODE)
    await scene.run()
    assert await scene.told() == []
    scene.clock.now += 60
    scene.codes.says[CODE] = Confirmed("Asana is connected.")
    await scene.run()
    assert await scene.told() == ["Asana is connected."]
    assert {at for *_, at in scene.codes.asked} == {accepted_at}, "it is as old as it was"


async def test_a_code_joins_no_other_message(scene: Scene) -> None:
    scene.codes.says[CODE] = Confirmed("Asana is connected.")
    await scene.hear("hello", number=1)
    await scene.hear(CODE, number=2)
    await scene.hear("and then?", number=3)
    scene.model.says = [says("one"), says("three")]
    kernel = await scene.activated()
    for _ in range(3):
        await scene.run(kernel)
    assert len(scene.ended) == 3
    assert await scene.told() == ["three"]


@pytest.mark.parametrize("text", ["BCDF-GHJ", "BCDF GHJK L", "bread-cake", "connect", "my code is BCDF-GHJK"])
async def test_what_is_no_code_is_for_the_assistant(scene: Scene, text: str) -> None:
    await scene.hear(text)
    scene.model.says = [says("yes?")]
    await scene.run()
    assert await scene.told() == ["yes?"]
    assert not scene.codes.asked
