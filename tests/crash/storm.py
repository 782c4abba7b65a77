"""A storm: many people write while processes are frozen, and killed at random and at chosen points.

With several nodes it also stops their database, lets one join or leave, and freezes them for longer than a node may be
silent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Final

from tests.crash.points import LOADED, Doom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.crash.databases import Postgres
    from tests.crash.processes import Process
    from tests.crash.system import Person, System

_PACE_SECONDS: Final = 2.0
"""The time in which the messages of a round are written."""
_KINDS: Final = ("", "task", "long")
_SHARES: Final = (73, 25, 2)
_MOST_WAITING: Final = 40
"""The most unanswered messages at the next blow. So the product makes progress even on a slow machine."""
_CATCH_UP_SECONDS: Final = 180
SETTLED_SECONDS: Final = 90
"""The time after the last kill in which everything must be answered. It exceeds the longest call of a tool."""
_BURST: Final = 4
"""The number of messages that a person writes while the service restarts in order."""
_BURST_PACE: Final = 1.2
"""The seconds between these messages."""
_IN_A_BURST: Final = 10
"""The number of people who write them concurrently."""
_JITTER_SECONDS: Final = 0.5
"""The largest random delay of a webhook, in seconds, so that webhooks overtake each other."""
_AT_ONCE: Final = 25
"""The number of people who connect their accounts concurrently."""
_LONGEST_FREEZE: Final = 12.0
_LAPSE_SECONDS: Final = 3.0
"""After this time without a beat a node counts as dead (kernel_service.cluster)."""
_SHORT_STOP, _LONG_STOP = 2.0, 10.0
"""For how long the database stops, in seconds, alternately."""
_DOOMED: Final = 0.35
"""The share of restarted processes that will die at a chosen point."""
_LATEST_CALL: Final = 12
_PEOPLE_WITHHELD: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of a storm. In `withheld` rounds some people's statuses are withheld, and a gateway dies.

    `restarts` are orderly (SIGTERM), while people write in bursts. `gateways` is the number that receive webhooks. A
    `relentless` storm kills 1.5 s after each start, however many messages are unanswered. `stops` are those of the
    database. In a `resizes` round a node joins those that run from the start, or leaves them in order.
    """

    people: int
    messages: int
    kills: int
    freezes: int
    withheld: int
    restarts: int
    gateways: int
    nodes: int
    stops: int
    resizes: int
    relentless: bool
    seed: int

    def rounds(self, rng: random.Random) -> list[str]:
        """The fault of each round."""
        withheld = min(self.withheld, self.kills)
        plain = rng.choices(("kernel", "gateway", "both"), (50, 30, 20), k=self.kills - withheld)
        blows = [*plain, *["withheld"] * withheld, *["freeze"] * self.freezes, *["restart"] * self.restarts]
        blows += [*["stop"] * self.stops, *["resize"] * self.resizes]
        rng.shuffle(blows)
        return blows


@dataclass(slots=True)
class Storm:
    """`struck` counts the faults by name. `over` is true once all faults are done and all messages answered.

    `settled` is the time from the last kill until everything was answered, in seconds.
    """

    system: System
    plan: Plan
    say: Callable[[str], None]
    postgres: Postgres | None = None
    struck: Counter[str] = field(default_factory=Counter)
    over: bool = False
    settled: float = 0.0
    _people: list[Person] = field(default_factory=list)
    _doomed: dict[str, Doom] = field(default_factory=dict)
    _nodes: list[Process] = field(default_factory=list)
    _stops: Iterator[float] = field(default_factory=lambda: cycle((_SHORT_STOP, _LONG_STOP)))
    _began: float = field(default_factory=time.monotonic)
    _rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._rng.seed(self.plan.seed)
        self._nodes = self.system.kernels[: self.plan.nodes]

    async def blow(self) -> None:
        """Run the whole storm until everything is answered. Raises TimeoutError, which names unanswered messages."""
        await self._gather_people()
        await self._slow_down()
        blows = self.plan.rounds(self._rng)
        for number, blow in enumerate(blows):
            share = self.plan.messages * (number + 1) // len(blows) - self.plan.messages * number // len(blows)
            await asyncio.gather(self._write(share), self._strike(blow))
            await self._between()
            if (number + 1) % 10 == 0:
                self._tell(f"round {number + 1} of {len(blows)}")
        await self._calm_down()
        self.over = True

    # --- people -------------------------------------------------------------------------------------------------

    async def _gather_people(self) -> None:
        self._people = [await self.system.person() for _ in range(self.plan.people)]
        await self.system.restart(self.system.other_gateway)
        for some in range(0, len(self._people), _AT_ONCE):
            await self.system.connect(self._people[some : some + _AT_ONCE], timeout=_CATCH_UP_SECONDS)
        self._tell(f"{len(self._people)} people have connected their accounts")

    async def _write(self, messages: int) -> None:
        """Write this many messages, spread over the round."""
        left = messages
        while left > 0:
            left -= await self._write_some(left)
            await asyncio.sleep(self._rng.uniform(0, 2 * _PACE_SECONDS / max(messages, 1) * 1.5))

    async def _write_some(self, most: int) -> int:
        """Write one message, a burst of one person, or messages of several people in one POST. Returns their number."""
        count = min(most, self._rng.randint(2, 4))
        match self._rng.choices(("one", "burst", "together", "again"), (60, 15, 15, 10))[0]:
            case "burst":
                person = self._rng.choice(self._people)
                for _ in range(count):
                    await self.system.writes(person, self._kind())
            case "together":
                people = self._rng.choices(self._people, k=2)
                await self.system.write_together([(self._rng.choice(people), self._kind()) for _ in range(count)])
            case "again":
                await self._deliver_again(count)
                return 0
            case _:
                count = 1
                await self.system.writes(self._rng.choice(self._people), self._kind())
        return count

    async def _deliver_again(self, count: int) -> None:
        """Deliver old messages once more: WhatsApp may repeat any, in other batches and in another order."""
        taken = [wamid for wamid, message in self.system.evidence.by_wamid.items() if message.taken]
        if taken:
            wamids = self._rng.sample(taken, min(count, len(taken)))
            await self.system.control("whatsapp", "again", wamids=wamids)

    def _kind(self) -> str:
        return self._rng.choices(_KINDS, _SHARES)[0]

    # --- blows --------------------------------------------------------------------------------------------------

    async def _strike(self, blow: str) -> None:
        match blow:
            case "kernel":
                await self._kill(self._a_node())
            case "gateway":
                await self._kill(self._a_gateway())
            case "both":
                await self._kill(self._a_node(), self._a_gateway())
            case "withheld":
                await self._withhold()
            case "restart":
                await self._restart_in_order()
            case "freeze":
                await self._freeze(self._rng.choice((self._a_node(), self._a_gateway())))
            case "stop":
                await self._stop_the_database()
            case "resize":
                await self._resize()

    def _a_node(self) -> Process:
        return self._rng.choice(self._nodes)

    def _a_gateway(self) -> Process:
        return self._rng.choice((self.system.gateway, self.system.other_gateway))

    async def _kill(self, *processes: Process) -> None:
        """Kill at a random moment. A doomed process dies by itself, if it reaches its point within the round."""
        moment = self._rng.uniform(1.2, 1.8) if self.plan.relentless else self._rng.uniform(0, _PACE_SECONDS)
        doomed = [process for process in processes if process.name in self._doomed]
        await asyncio.gather(*(process.ends(_PACE_SECONDS) for process in doomed), asyncio.sleep(moment))
        for process in processes:
            if process.alive:
                self.struck[process.service] += 1
                await self.system.kill(process)
            else:
                await self._note_death(process)
        await asyncio.gather(*(self._start_again(process) for process in processes))

    async def _start_again(self, process: Process) -> None:
        """Sometimes doomed."""
        doom = self._a_doom(process) if self._rng.random() < _DOOMED else None
        self._doomed.pop(process.name, None)
        if doom is not None:
            self._doomed[process.name] = doom
        await self._start(process, doom)

    async def _start(self, process: Process, doom: Doom | None) -> None:
        try:
            await self.system.restart(process, doom=doom)
        except RuntimeError:
            if doom is None:
                raise
            await self._note_death(process)
            del self._doomed[process.name]
            await self.system.restart(process)

    async def _note_death(self, process: Process) -> None:
        self.struck[f"{process.service} at a point"] += 1
        await self.system.note("died", process)

    def _a_doom(self, process: Process) -> Doom:
        return Doom(self._rng.choice(list(LOADED[process.service])), self._rng.randint(1, _LATEST_CALL))

    async def _withhold(self) -> None:
        """Withhold statuses and kill a gateway, so that unacknowledged sends stay in doubt for their whole grace."""
        for person in self._rng.sample(self._people, min(_PEOPLE_WITHHELD, len(self._people))):
            await self.system.control("whatsapp", "withhold", person=person.phone)
        gateway = self._a_gateway()
        await self.system.kill(gateway)
        self._doomed[gateway.name] = Doom("part accepted", self._rng.randint(1, 3))
        await self._start(gateway, self._doomed[gateway.name])
        await self._kill(gateway)
        self.struck["withheld"] += 1

    async def _freeze(self, process: Process) -> None:
        await asyncio.sleep(self._rng.uniform(0, _PACE_SECONDS / 2))
        await self._mend()
        await self.system.freeze(process)
        await asyncio.sleep(self._rng.uniform(_LAPSE_SECONDS if self.plan.nodes > 1 else 0.5, _LONGEST_FREEZE))
        await self.system.resume(process)
        self.struck["frozen"] += 1

    async def _stop_the_database(self) -> None:
        if self.postgres is None:
            raise RuntimeError("only PostgreSQL can stop")
        await asyncio.sleep(self._rng.uniform(0, _PACE_SECONDS / 2))
        await self.system.note("stopped", self.postgres)
        await self.postgres.stop()
        await asyncio.sleep(next(self._stops))
        await self.postgres.start()
        await self.system.note("started", self.postgres)
        self.struck["database stopped"] += 1

    async def _resize(self) -> None:
        spare = self.system.kernels[self.plan.nodes]
        await asyncio.sleep(self._rng.uniform(0, _PACE_SECONDS / 2))
        if spare in self._nodes:
            self._nodes.remove(spare)
            await self._end(spare)
            self.struck["left"] += 1
        else:
            await self._start_again(spare)
            self._nodes.append(spare)
            self.struck["joined"] += 1

    async def _end(self, process: Process) -> None:
        self._doomed.pop(process.name, None)
        if process.alive:
            await process.end()
            await self.system.note("ended", process)

    async def _restart_in_order(self) -> None:
        """Restart the service while people write: the delayed webhooks are then released all at once."""
        people = self._rng.sample(self._people, min(_IN_A_BURST, len(self._people)))
        await self._mend()
        writing = [asyncio.create_task(self._burst(person)) for person in people]
        await asyncio.sleep(self._rng.uniform(0, _BURST_PACE))
        node = self._a_node()
        await self._end(node)
        await self._start_again(node)
        await asyncio.gather(*writing)
        self.struck["restarted in order"] += 1

    async def _burst(self, person: Person) -> None:
        for _ in range(_BURST):
            await self.system.writes(person, self._kind())
            await asyncio.sleep(_BURST_PACE)

    # --- between and after --------------------------------------------------------------------------------------

    async def _slow_down(self) -> None:
        """Slow calls down, so that a random moment falls into calls in progress."""
        await self.system.control("whatsapp", "patience", seconds=0.3)
        await self.system.control("whatsapp", "jitter", seconds=_JITTER_SECONDS)
        for vendor, after, seconds in (
            ("openai", False, 0.4),
            ("composio", False, 0.1),
            ("composio", True, 0.2),
            ("whatsapp", False, 0.1),
            ("whatsapp", True, 0.2),
        ):
            await self.system.control(vendor, "slow", seconds=seconds, after=after)

    async def _between(self) -> None:
        if self.plan.relentless:
            await self._mend()
            await self.system.read_on(wait=0)
        else:
            await self._catch_up(_MOST_WAITING)

    async def _catch_up(self, most: int) -> None:
        """Wait until at most `most` messages are unanswered. Restarts a process that died at its point."""
        async with asyncio.timeout(_CATCH_UP_SECONDS):
            while True:
                await self._mend()
                await self.system.read_on(wait=0)
                if len(self.system.evidence.waiting) <= most:
                    return
                await asyncio.sleep(1)

    async def _mend(self) -> None:
        for process in (*self._nodes, self.system.gateway, self.system.other_gateway):
            if not process.alive:
                await self._note_death(process)
                await self._start_again(process)

    async def _calm_down(self) -> None:
        await self.system.control("whatsapp", "let_go")
        for process in (*self._nodes, self.system.gateway, self.system.other_gateway):
            if process.name in self._doomed:
                await process.kill()
                del self._doomed[process.name]
                await self.system.restart(process)
        calm = time.monotonic()
        self._tell("calm")
        await self._catch_up(0)
        self.settled = time.monotonic() - calm
        self._tell(f"everything is answered {self.settled:.0f} s after the last kill")
        await self.system.settled(*self._people, timeout=_CATCH_UP_SECONDS)

    def _tell(self, what: str) -> None:
        found = self.system.evidence
        minutes = (time.monotonic() - self._began) / 60
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.struck.items()))
        written = f"{len(found.messages)} messages, {len(found.waiting)} waiting"
        self.say(f"{minutes:5.1f} min  {what}: {written}; {struck}")
