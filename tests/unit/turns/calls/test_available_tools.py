"""The tools that searches found are offered beside the person's own, up to the limit of a request."""

from __future__ import annotations

from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.tools import Person
from kernel_service.ports.turns import Turn, TurnMessage
from kernel_service.turns.calls.available_tools import AvailableTools
from kernel_service.turns.calls.refused_tools import MOST_OFFERED, OfferedTools, RefusedTools
from kernel_service.turns.limits import TurnLimits
from tests.clock import Clock
from tests.unit.turns.scene import FakeTool, Toolbox

OWN = [FakeTool(f"own_{number}", read_only=True) for number in range(3)]
FOUND = [FakeTool(f"found_{number}", read_only=True) for number in range(MOST_OFFERED)]
OFFERED = [tool.schema.name for tool in OWN + FOUND[len(OWN) :]]
"""Of the found tools the newest: as many as a request may offer beside the person's own."""


def available(*tools: FakeTool) -> AvailableTools:
    clock = Clock()
    turn = Turn("t_1", "p_alice", [TurnMessage(1, "m1", "test", "", Payload(Text("hi")), 0.0)], begun=False)
    offered = OfferedTools(RefusedTools(clock))
    return AvailableTools(turn, Person("p_alice"), Toolbox(*tools), offered, TurnLimits(), clock)


async def test_tools_found_in_earlier_turns_leave_room_for_the_persons_own() -> None:
    tools = available(*OWN, *FOUND)
    await tools.fetch(found=[tool.schema.name for tool in FOUND])
    assert [schema.name for schema in tools.schemas] == OFFERED


async def test_tools_found_in_this_turn_replace_the_oldest_found() -> None:
    tools = available(*OWN)
    await tools.fetch()
    tools.add_found(FOUND[:50])
    tools.add_found(FOUND)
    assert [schema.name for schema in tools.schemas] == OFFERED
