"""The gateway dies between a reply that a closed window refused and its invitation. The person is invited once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.crash.points import Doom
from tests.crash.system import System
from tests.crash.times import short

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.crash.times import Times

pytestmark = pytest.mark.crash

_KILLED: Final = -9
_AGAIN_SECONDS: Final = 0.5
_REFUSED: Final = json.dumps({"error": {"code": 131047, "message": "Re-engagement message"}})


@pytest.fixture
async def inviting(tmp_path: Path, database_url: str) -> AsyncIterator[System]:
    times = short() | {"whatsapp_gateway.outbound.templates:RETRY_MARGIN": _AGAIN_SECONDS}
    system = System(tmp_path, database_url, times, {"KERNEL_SWEEP_SECONDS": "1"})
    system.gateway.settings["WHATSAPP_TEMPLATE"] = "come_back:en_US"
    async with system.running() as running:
        yield running


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_gateway_that_dies_before_its_claim_leaves_the_invitation_to_another(inviting: System) -> None:
    times = inviting.gateway.times
    inviting.gateway.times = times | {"whatsapp_gateway.outbound.templates:AT_ONCE": 0}  # its claims wait for a place
    await _dies_at(inviting, "part acknowledged", times, refusals=2)


async def test_an_invitation_that_was_sent_is_not_sent_again(inviting: System) -> None:
    await _dies_at(inviting, "invitation sent", inviting.gateway.times, refusals=1)


async def _dies_at(system: System, point: str, times: Times, *, refusals: int) -> None:
    """`times`: of the next gateway. `refusals`: how often the reply is sent into the closed window."""
    person = await system.person()
    await system.gateway.kill()
    await system.restart(system.gateway, doom=Doom(point))
    await system.control("whatsapp", "fail", status=400, times=refusals, body=_REFUSED, match={"text": person.name})
    token = await system.writes(person)
    assert await system.gateway.ended() == _KILLED
    system.gateway.times = times
    await system.restart(system.gateway)
    await system.until(lambda: _invitations(system) > 0)
    await system.settled(person)  # writing opens the window
    assert token in system.evidence.answered
    assert _invitations(system) == 1


def _invitations(system: System) -> int:
    return sum(effect.kind == "graph_send" and effect.detail.get("type") == "template" for effect in system.log)
