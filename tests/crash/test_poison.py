"""Only a message on which its process dies each time is given up, after a number of crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from tests.crash.checker import judge
from tests.crash.points import POISON, Doom

if TYPE_CHECKING:
    from tests.crash.system import Person, System

pytestmark = pytest.mark.crash

_DEATHS = 7
"""Two of any turn, two in quarantine, three in isolation."""


async def test_only_the_poisoned_message_is_given_up(system: System) -> None:
    poisoner, *others = [await system.person() for _ in range(4)]
    await _armed(system)
    tokens = [await system.writes(person) for person in others]
    await system.answered(*tokens)
    await system.says(poisoner, POISON)
    for _ in range(_DEATHS):
        await system.kernel.ended()
        await system.note("died", system.kernel)
        assert not _told(system, poisoner)
        tokens += [
            await system.writes(person) for person in others
        ]  # while the service is down, and together with the poison
        await _armed(system)
    await system.until(lambda: _told(system, poisoner))
    await system.answered(*tokens)
    await system.settled(*others, poisoner)
    assert judge(system.log).faults == []


async def _armed(system: System) -> None:
    if system.kernel.alive:
        await system.kernel.kill()
    await system.restart(system.kernel, doom=Doom("poison swallowed"))


def _told(system: System, person: Person) -> bool:
    return any(
        effect.detail["text"] == texts.answers.FAILED
        for effect in system.log
        if effect.kind == "graph_send" and effect.person == person.phone
    )
