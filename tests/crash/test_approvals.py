"""The kernel service dies at each step after a tapped button. The approved call is made once and reported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.crash.points import Doom

if TYPE_CHECKING:
    from emulators.effects import Effect
    from tests.crash.system import Person, System

pytestmark = pytest.mark.crash

_KILLED: Final = -9
_DONE_ONCE: Final = ("message accepted", "button decided", "tool result stored", "end not committed", "turn ended")
_IN_DOUBT: Final = {"tool not called": 0, "tool called": 1}
"""Points where the intent is stored and the result is not. The tool is not called again, and the person is told so."""


async def test_an_approved_call_is_made_once(system: System, subtests: pytest.Subtests) -> None:
    person = await system.person()
    await system.connect([person])
    points = (*_DONE_ONCE, *_IN_DOUBT)
    await _create(system, person, *map(_doomed_at, points))
    for point in points:
        with subtests.test(point):
            told, deletions = await _dies_at(system, person, point)
            assert len(deletions) == _IN_DOUBT.get(point, 1)
            assert ["outcome is unknown" in said for said in told] == [point in _IN_DOUBT]


_BUNDLES: Final = {
    ("tool result stored", 1): (2, False),
    ("tool result stored", 2): (2, False),
    ("tool called", 1): (1, True),
    ("tool called", 2): (2, True),
    ("tool not called", 2): (1, True),
}
"""By point and call: how many of two deletions are made, and whether the outcome of one is unknown."""


async def test_several_approved_calls_are_neither_repeated_nor_forgotten(
    system: System, subtests: pytest.Subtests
) -> None:
    person = await system.person()
    await system.connect([person])
    await _create(system, person, *(task for point, nth in _BUNDLES for task in _both_at(f"{point} {nth}")))
    for (point, nth), (count, in_doubt) in _BUNDLES.items():
        with subtests.test(f"{point} {nth}"):
            question = await _asks_for_both(system, person, f"{point} {nth}")
            told, deletions = await _tapped_and_killed(system, person, question, "Approve all", Doom(point, nth=nth))
            assert [deletion.detail["arguments"]["task_gid"] for deletion in deletions] == question.gids[:count]
            assert any("outcome is unknown" in said for said in told) == in_doubt


def _doomed_at(point: str) -> str:
    return f"Doomed at {point}"


def _both_at(name: str) -> tuple[str, str]:
    return f"One at {name}", f"Two at {name}"


async def _create(system: System, person: Person, *tasks: str) -> None:
    """Create tasks before any list is read: afterwards the person would be asked first."""
    for task in tasks:
        await _says(system, person, f"create a task: {task}")


@dataclass(frozen=True, slots=True)
class _Question:
    wamid: str
    gids: list[str]


async def _asks_for_both(system: System, person: Person, name: str) -> _Question:
    """One question for two deletions. Their order does not follow from their ids."""
    gids: list[str] = []
    for task in _both_at(name):
        asked = await _says(system, person, f"delete the task {task}")
        [gid] = re.findall(r"task_gid: (\d+)", str(asked.detail["text"]))
        gids.insert(0, gid)
    calls = [{"call": "ASANA_DELETE_TASK", "arguments": {"task_gid": gid}} for gid in gids]
    await system.control("openai", "script", turns=[calls, "Shall I?"])
    asked = await _says(system, person, "clean up")
    return _Question(str(asked.detail["wamid"]), gids)


async def _dies_at(system: System, person: Person, point: str) -> tuple[list[str], list[Effect]]:
    """The answers to the person after their tap, and the deletions."""
    question = await _says(system, person, f"delete the task {_doomed_at(point)}")
    return await _tapped_and_killed(
        system, person, _Question(str(question.detail["wamid"]), []), "Approve", Doom(point)
    )


async def _tapped_and_killed(
    system: System, person: Person, question: _Question, title: str, doom: Doom
) -> tuple[list[str], list[Effect]]:
    await system.kernel.kill()
    await system.restart(system.kernel, doom=doom)
    known = len(system.log)
    await system.taps(person, question.wamid, title)
    assert await system.kernel.ended() == _KILLED
    await system.restart(system.kernel)
    await system.until(lambda: bool(_sends(system, person, known)))
    await system.settled(person)
    told = [str(send.detail["text"]) for send in _sends(system, person, known)][:-1]
    made = [effect for effect in system.log[known:] if effect.kind == "tool_execution"]
    return told, [effect for effect in made if effect.key == "ASANA_DELETE_TASK"]


async def _says(system: System, person: Person, text: str) -> Effect:
    """Write a text and return the answer."""
    known = len(system.log)
    await system.says(person, text)
    await system.until(lambda: bool(_sends(system, person, known)))
    return _sends(system, person, known)[0]


def _sends(system: System, person: Person, known: int) -> list[Effect]:
    sends = (effect for effect in system.log[known:] if effect.kind == "graph_send")
    return [effect for effect in sends if effect.person == person.phone]
