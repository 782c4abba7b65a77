"""Processes that stop for longer than a lease lasts, and then resume as if nothing had happened."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.crash.checker import FROZEN, judge
from tests.crash.points import Doom
from tests.crash.system import System
from tests.crash.times import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.evidence import Part
    from tests.crash.system import Person

pytestmark = pytest.mark.crash

_FREEZE_SECONDS: Final = 5.0
"""Longer than a lease and its grace together. Both are shortened to two seconds."""
_GIVEN_UP_SECONDS: Final = 6.0
"""The time after which the kernel service drops a peer that does not answer its pings."""


async def _frozen_for_long(system: System) -> None:
    """Wait in real time: the processes whose leases expire cannot be observed or given another clock."""
    await asyncio.sleep(_FREEZE_SECONDS)


async def test_the_kernel_service_while_the_model_thinks_and_a_reply_is_sent(system: System) -> None:
    alice, bob, carol = [await system.person() for _ in range(3)]
    sending = await system.hold("whatsapp", person=bob.phone)
    tokens = [await system.writes(bob)]
    await sending.reached()
    thinking = await system.hold("openai")
    tokens.append(await system.writes(alice))
    await thinking.reached()
    await system.freeze(system.kernel)
    await thinking.release()
    await sending.release()
    tokens.append(await system.writes(carol))
    await _frozen_for_long(system)
    await system.resume(system.kernel)
    await system.answered(*tokens)
    await _once(system, alice, bob, carol)


async def test_the_gateway_between_the_send_and_its_answer(system: System) -> None:
    alice, bob = await system.person(), await system.person()
    hold = await system.hold("whatsapp", after=True, person=alice.phone)
    tokens = [await system.writes(alice)]
    await hold.reached()
    await system.freeze(system.gateway)
    await hold.release()
    tokens.append(await system.writes(bob))
    await _frozen_for_long(system)
    await system.resume(system.gateway)
    await system.answered(*tokens)
    await _once(system, alice, bob)


async def test_a_frozen_gateway_leaves_its_reply_to_others(system: System) -> None:
    await _sent_meanwhile(system, "reply pulled")
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {})


async def test_a_frozen_gateway_does_not_swallow_replies(tmp_path: Path, database_url: str) -> None:
    async with System(tmp_path, database_url, OWN, {}).running() as system:
        await system.restart(system.other_gateway)
        await system.freeze(system.other_gateway)
        await asyncio.sleep(_GIVEN_UP_SECONDS)
        people = [await system.person() for _ in range(8)]
        # A reply that went to the frozen gateway would arrive only after its lease, in a minute and a half.
        await system.answered(*[await system.writes(person) for person in people], timeout=30)
        await system.resume(system.other_gateway)
        await _once(system, *people)


async def test_a_gateway_frozen_in_the_write_itself_is_the_stated_residue(system: System) -> None:
    part = await _sent_meanwhile(system, "part not sent")
    await system.until(lambda: len(part.accepted) > 1)
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {FROZEN: 1})


async def _sent_meanwhile(system: System, point: str) -> Part:
    """One gateway freezes at the point, another one sends the reply (one part), and the first one resumes."""
    person = await system.person()
    hold = await system.hold("openai")
    token = await system.writes(person)
    await hold.reached()
    await system.kill(system.gateway)
    frozen = system.other_gateway
    await system.restart(frozen, doom=Doom(point, signal=signal.SIGSTOP))
    await hold.release()
    await frozen.frozen()
    await system.note("frozen", frozen)
    await system.restart(system.gateway)
    await system.answered(token)
    await system.settled(person)
    await system.resume(frozen)
    await frozen.ready()
    await system.settled(person)
    return next(reply.sent[1] for reply in system.evidence.replies.values() if token in reply.tokens)


async def _once(system: System, *people: Person) -> None:
    await system.settled(*people)
    verdict = judge(system.log)
    assert (verdict.faults, dict(verdict.residue)) == ([], {})
