"""The kernel service dies while it makes a voice for its answer. The person gets the text and the voice once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.checker import judge
from tests.crash.points import Doom
from tests.crash.system import System
from tests.crash.times import short
from tests.integration.files import VOICE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.system import Person

pytestmark = pytest.mark.crash

_TIMES = short(lease=6, grace=4) | {"whatsapp_gateway.outbound.file_sender:SEND_SECONDS": 1.0}
"""A part with a file is begun only if its lease has room for a whole call afterwards."""


async def test_a_voice_is_sent_once(tmp_path: Path, database_url: str, subtests: pytest.Subtests) -> None:
    speaking = {"OPENAI_SPEECH_MODEL": "gpt-4o-mini-tts"}
    async with System(tmp_path, database_url, _TIMES, speaking).running() as system:
        for when in ("voice made", "turn not ended"):
            with subtests.test(when):
                person = await system.person()
                if when == "voice made":
                    await _dies_with_the_voice(system, person)
                else:
                    await system.kernel.kill()
                    await system.restart(system.kernel, doom=Doom(when))
                    await system.speaks(person, VOICE)
                    await system.kernel.ended()
                await system.restart(system.kernel)
                await system.until(lambda whose=person: len(_sent(system, whose)) > 1)  # type: ignore[misc]
                await system.settled(person)
                assert _sent(system, person) == ["text", "audio", "text"]
        assert judge(system.log).faults == []


async def _dies_with_the_voice(system: System, person: Person) -> None:
    hold = await system.hold("openai", path="/audio/speech", after=True)
    await system.speaks(person, VOICE)
    await hold.reached()
    await system.kernel.kill()
    await hold.release()


def _sent(system: System, person: Person) -> list[str]:
    """The types of all messages to the person; the last one settles."""
    sends = (each for each in system.log if (each.kind, each.person) == ("graph_send", person.phone))
    return [str(each.detail["type"]) for each in sends]
