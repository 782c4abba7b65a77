"""`python -m tests.crash.gateway`: measures how long people wait, and in which order, when a gateway dies in mid-send.

It uses real processes with the product's own times and default settings. The Graph API takes a second for each message.
In each round all people write. Once the answers are in transit, the gateway is killed with -9, some people continue to
write, and it starts again. `--blow both` kills the kernel service with it. `--blow frozen` stops a second gateway
instead, which silently holds its connections open, and resumes once all is answered.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tests.crash import evidence
from tests.crash.checker import Kind, Verdict, judge
from tests.crash.databases import server
from tests.crash.system import System
from tests.crash.times import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulators.effects import Effect
    from tests.crash.processes import Process
    from tests.crash.system import Person

WANTED_SECONDS: Final = 45.0
"""The time after the last blow in which all messages in flight must be answered."""
GRAPH_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 1.5
_CATCH_UP_SECONDS: Final = 240
_MOMENTS: Final = (0.0, 0.02, 0.1, 0.3, 0.8)
"""When the gateway dies: before it gets the answers, while it has them, while it sends them, after their acceptance."""
_WRITE_ON: Final = 5
"""One in this many people writes twice more while the gateway is down; the others write once."""
_BLOWS: Final = frozenset({"killed", "frozen"})
DEFAULTS: Final = {"KERNEL_DEBOUNCE_SECONDS": "0.6", "KERNEL_SWEEP_SECONDS": "60"}
"""The product's own values of the settings that the crash suite changes."""


@dataclass(frozen=True, slots=True)
class Figures:
    """`waits`: for each message, the seconds from its writing (or from the last blow, if later) to its answer."""

    waits: list[float]
    unanswered: int
    late: int
    verdict: Verdict

    @property
    def good(self) -> bool:
        return not (self.unanswered or self.late or self.verdict.faults)

    def __str__(self) -> str:
        longest, middle = (max(self.waits), statistics.median(self.waits)) if self.waits else (0, 0)
        count = self.verdict.count
        return (
            f"{len(self.waits) + self.unanswered} messages: {self.unanswered} unanswered, {self.late} later than"
            f" {WANTED_SECONDS:.0f} s, longest {longest:.1f} s, p50 {middle:.1f} s; {count(Kind.ORDER)} out of order,"
            f" {count(Kind.TWICE) + count(Kind.REPEATED)} twice, {count(Kind.LOST)} lost;"
            f" as stated: {dict(self.verdict.residue)}"
        )


async def strike(system: System, people: Sequence[Person], moment: float, *victims: Process) -> None:
    """One round: all people write, the victims die with the answers in transit, people continue, the victims restart.

    `moment`: the seconds between the model calls for all of them and the kill.
    """
    await _all_on_their_way(system, people, moment)
    await system.kill(*victims)
    await asyncio.gather(_write_on(system, people), *(_comes_back(system, victim) for victim in victims))


async def freeze(system: System, people: Sequence[Person], moment: float) -> None:
    """As strike, but a second gateway stops, and the first one has to take over the work of both."""
    await _all_on_their_way(system, people, moment)
    await system.freeze(system.other_gateway)
    await _write_on(system, people)


async def slow_down(system: System) -> None:
    """Delay each send: half of the time before the Graph API accepts the message, half of it after."""
    for after in (False, True):
        await system.control("whatsapp", "slow", seconds=GRAPH_SECONDS / 2, least=GRAPH_SECONDS / 2, after=after)


async def settle(system: System, people: Sequence[Person]) -> None:
    """Wait until all is answered, or the time limit has passed."""
    try:
        await system.until(lambda: not system.evidence.waiting, _CATCH_UP_SECONDS)
        await system.settled(*people)
    except TimeoutError:
        await system.read_on()


def figures(log: Sequence[Effect]) -> Figures:
    """The figures of a run, from the effect log alone."""
    found = evidence.read(log)
    blows = [effect.at for effect in log if effect.kind in _BLOWS]
    at = {effect.number: effect.at for effect in log}
    answered = {
        token: at[reply.ended] for reply in found.replies.values() if not reply.missing for token in reply.tokens
    }
    waits = []
    for message in found.messages.values():
        if message.token in answered:
            end = answered[message.token]
            begin = max(at[message.posted], *(blow for blow in blows if blow < end), 0.0)
            waits.append(end - begin)
    late = sum(wait > WANTED_SECONDS for wait in waits)
    return Figures(waits, len(found.messages) - len(waits), late, judge(log))


async def _all_on_their_way(system: System, people: Sequence[Person], moment: float) -> None:
    begun = len(system.evidence.model_calls)
    await asyncio.gather(*(system.writes(person) for person in people))
    await system.until(lambda: len(system.evidence.model_calls) >= begun + len(people), _CATCH_UP_SECONDS)
    await asyncio.sleep(moment)


async def _write_on(system: System, people: Sequence[Person]) -> None:
    writers = [*people, *people[::_WRITE_ON]]
    for person in writers:
        await system.writes(person)
        await asyncio.sleep(AWAY_SECONDS / len(writers))


async def _comes_back(system: System, process: Process) -> None:
    await asyncio.sleep(AWAY_SECONDS)
    await system.restart(process)


async def _run(system: System, blow: str, people: int, rounds: int, *, apart: bool) -> Figures:
    async with system.running():
        crowd = [await system.person() for _ in range(people)]
        await slow_down(system)
        if blow == "frozen":
            await system.restart(system.other_gateway)
        for number in range(rounds):
            moment = _MOMENTS[number % len(_MOMENTS)]
            if blow == "frozen":
                await freeze(system, crowd, moment)
            else:
                await strike(system, crowd, moment, system.gateway, *[system.kernel] * (blow == "both"))
            click.echo(f"round {number + 1}: {len(system.evidence.waiting)} waiting")
            if apart or blow == "frozen":
                await settle(system, crowd)
            if blow == "frozen":
                await system.resume(system.other_gateway)
        await settle(system, crowd)
    return figures(system.log)


@click.command()
@click.option("--blow", type=click.Choice(["killed", "both", "frozen"]), default="killed", show_default=True)
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--people", default=30, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--apart", is_flag=True, help="Wait for all answers before the next round.")
def main(blow: str, database: str, *, people: int, rounds: int, apart: bool) -> None:
    """Exit with 1 if a person waited too long, or was answered twice or out of order."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    with server(database, folder) as url:
        found = asyncio.run(_run(System(folder, url, OWN, DEFAULTS), blow, people, rounds, apart=apart))
    click.echo(str(found))
    for fault in found.verdict.faults[:20]:
        click.echo(f"FAULT {fault}")
    click.echo(f"the effect log and the logs of the services: {folder}")
    sys.exit(0 if found.good else 1)


if __name__ == "__main__":
    main()
