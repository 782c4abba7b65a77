"""Replies are sent once, even if gateways die in the middle of them. Allowed repetitions are counted separately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.checker import WITHHELD, judge
from tests.crash.points import Doom

if TYPE_CHECKING:
    from tests.crash.system import System

pytestmark = pytest.mark.crash


async def test_an_answer_of_three_parts_whose_gateway_dies_after_each(system: System) -> None:
    person = await system.person()
    await system.gateway.kill()
    await system.restart(system.gateway, doom=Doom("part accepted"))
    token = await system.writes(person, "long")
    for _ in range(2):
        await system.gateway.ended()
        await system.restart(system.gateway, doom=Doom("part accepted"))
    await system.gateway.ended()
    await system.restart(system.gateway)
    await system.answered(token)
    await system.settled(person)
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {})
    sends = [effect.key.partition("/")[2] for effect in system.log if effect.kind == "graph_send"]
    assert sends == ["1/3", "2/3", "3/3", "1/1"]


async def test_a_part_with_a_withheld_status_is_sent_again_and_counted_as_residue(system: System) -> None:
    alice, bob = await system.person(), await system.person()
    await system.control("whatsapp", "withhold", person=alice.phone)
    await system.gateway.kill()
    await system.restart(system.gateway, doom=Doom("part accepted"))
    await system.writes(alice)
    await system.gateway.ended()
    await system.restart(system.gateway)
    # The receipts of others show that receipts arrive at all.
    while len([effect for effect in system.log if effect.kind == "graph_send" and effect.person == alice.phone]) < 2:
        await system.settled(bob)
    await system.control("whatsapp", "let_go")
    await system.settled(alice, bob)
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {WITHHELD: 1})


async def test_both_services_die_while_the_model_thinks(system: System) -> None:
    person = await system.person()
    hold = await system.hold("openai")
    token = await system.writes(person)
    await hold.reached()
    await system.kill(system.kernel, system.gateway)
    await hold.release()
    await system.restart(system.kernel)
    await system.restart(system.gateway)
    await system.answered(token)
    await system.settled(person)
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {})
