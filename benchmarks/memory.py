"""`python -m benchmarks.memory [kernels]`: the cost of a resident kernel, and of its history for a turn.

- The slope of the resident memory per kernel with 50 turns, as more kernels become resident. Their turns end in random
  order, one after the other, as in a process that serves many people: freed segments leave gaps of every size. Then
  the same for kernels of which a tenth is in use at a time, and the others rest.
- The time and the CPU time to bring a kernel back from the store, with 50 turns or some more, on SQLite and on
  PostgreSQL. People write one to nine turns before they are brought back. Then the same without packed turns.
- The CPU time of a turn for its history at 10, 50 and 200 turns: reading it, the request's items, appending the turn.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections import OrderedDict
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import databases
from benchmarks.conversations import ORIGIN, turns
from benchmarks.figures import percentile
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.foresight import Foresight
from kernel_service.kernels.kernel import Kernel
from kernel_service.ports.kernels import Activation
from kernel_service.ports.messages import Message, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import Turn, TurnStatus
from kernel_service.process_memory import resident_bytes
from kernel_service.storage.keys import packed_copies
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from kernel_service.turns.context.context_window import ContextWindow
from kernel_service.turns.context.transcript import Transcript

if TYPE_CHECKING:
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.storage.store import Store

TURNS = 50
MANY = 10_000
"""The slope is measured from a tenth of these kernels to all of them. 100,000 of them take five minutes."""
WAVES = 10
DISTINCT = 100
"""Conversations. Each kernel packs one of them."""
LONG = (10, 50, 200)
PEOPLE = 60
ROUNDS = 10
SESSION = 9
"""The most turns before a kernel is brought back again."""
NEXT = 20
"""Turns whose mean is measured: the cost of an append depends on the segments before it."""


class Slope(NamedTuple):
    """In bytes per kernel: of the resident memory, and as the evictor counts."""

    resident: float
    counted: float


class Spread(NamedTuple):
    """Of many measurements, in milliseconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p99 {self.p99:.2f} ms"


class Back(NamedTuple):
    """The time until a kernel is resident again, and the CPU time of all threads of this process meanwhile.

    The CPU time does not include that of a PostgreSQL server.
    """

    wall: Spread
    cpu: Spread

    def __str__(self) -> str:
        return f"{self.wall}; CPU {self.cpu}"


def main() -> None:
    many = int(sys.argv[1]) if sys.argv[1:] else MANY
    slope = resident_slope(many)
    print(f"a kernel in use with {TURNS} turns: {slope.resident:,.0f} bytes, counted as {slope.counted:,.0f}")
    slope = resting_slope(many)
    print(f"a kernel at rest with {TURNS} turns: {slope.resident:,.0f} bytes, counted as {slope.counted:,.0f}")
    for length in LONG:
        print(f"history of {length} turns: {turn_cost(length):.3f} ms of CPU for a turn")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        for name, kind in (("SQLite", databases.sqlite), ("PostgreSQL", databases.postgres)):
            packed, items = asyncio.run(brought_back(stack.enter_context(kind(Path(folder)))()))
            print(f"bringing back on {name}: {packed}")
            print(f"bringing back from the items alone on {name}: {items}")


def resident_slope(many: int) -> Slope:
    conversations = [list(turns(TURNS, seed)) for seed in range(DISTINCT)]
    kernels: OrderedDict[str, Kernel] = OrderedDict()
    few = many // 10
    _add_kernels(kernels, few, conversations)
    before = resident_bytes()
    _add_kernels(kernels, many - few, conversations)
    resident = (resident_bytes() - before) / (many - few)
    return Slope(resident, sum(kernel.bytes for kernel in kernels.values()) / many)


def resting_slope(many: int) -> Slope:
    """Of kernels that rest before the next tenth is used."""
    conversations = [list(turns(TURNS, seed)) for seed in range(DISTINCT)]
    kernels: OrderedDict[str, Kernel] = OrderedDict()
    few = many // WAVES
    before = 0
    for wave in range(WAVES):
        _add_kernels(kernels, few, conversations)
        for kernel in kernels.values():
            kernel.rest()
        before = before if wave else resident_bytes()
    resident = (resident_bytes() - before) / (few * (WAVES - 1))
    return Slope(resident, sum(kernel.bytes for kernel in kernels.values()) / len(kernels))


def _add_kernels(kernels: dict[str, Kernel], count: int, conversations: list[list[list[HistoryItem]]]) -> None:
    added = [Kernel(Activation(f"p_{number:026}", 1, [], model=ORIGIN), time.time()) for number in range(count)]
    numbers = list(range(count))
    for turn in range(TURNS):
        Random(turn).shuffle(numbers)
        for number in numbers:
            history = added[number].history
            history.keep(history.ended.followed_by(conversations[number % DISTINCT][turn]), [])
    for kernel in added:
        kernel.foresight = Foresight("", 0, 1, 0, has_connections=False, has_facts=False)
    kernels |= {f"{kernel.person_id}{len(kernels)}": kernel for kernel in added}


def turn_cost(length: int) -> float:
    """Milliseconds of CPU for each of the next turns, without the model and the store."""
    before = _conversation(length, 1)
    following = list(turns(NEXT, 2))
    kernel = Kernel(Activation("p_1", 1, [], model=ORIGIN), 0.0)
    began = time.thread_time()
    for _ in range(ROUNDS):
        kernel.history.keep(before, [])
        for items in following:
            _turn(kernel, items)
    return (time.thread_time() - began) * 1000 / (ROUNDS * NEXT)


def _turn(kernel: Kernel, items: list[HistoryItem]) -> None:
    """The work of a turn on the history: the first request's items, the taint, the end."""
    history = kernel.history
    transcript = Transcript(history.open_items(), _NoModel(), history.ended)  # type: ignore[arg-type]
    window = ContextWindow(transcript, transcript.model, kernel.context_tokens)
    transcript.items = items[:1]
    window.is_full()
    window.shown()
    transcript.items = items
    _ = transcript.tainted
    transcript.mark_stored()
    history.keep(transcript.ended.followed_by(transcript.stored), [])


async def brought_back(database_url: str) -> tuple[Back, Back]:
    """As in operation, and without the packed turns."""
    store = await open_store(database_url, _KEYS)
    try:
        people = [await _Person.of(store, number) for number in range(PEOPLE)]
        packed, items = _Times(), _Times()
        for _ in range(3):
            for person in people:
                await packed.add(store, person.id)
                await person.session()
        for _ in range(3):
            for person in people:
                await store.engine.write(partial(packed_copies.drop, person_id=person.id))
                await items.add(store, person.id)
        return packed.back, items.back
    finally:
        await store.close()


class _Times:
    """Of bringing kernels back, in milliseconds."""

    def __init__(self) -> None:
        self._wall: list[float] = []
        self._cpu: list[float] = []

    async def add(self, store: Store, person_id: str) -> None:
        began, cpu_began = time.perf_counter(), time.process_time()
        Kernel(await store.kernels.activate(person_id, owner="bench", model=ORIGIN), 0.0)
        self._wall.append((time.perf_counter() - began) * 1000)
        self._cpu.append((time.process_time() - cpu_began) * 1000)

    @property
    def back(self) -> Back:
        return Back(_spread(self._wall), _spread(self._cpu))


def _spread(took: list[float]) -> Spread:
    return Spread(percentile(took, 50), percentile(took, 99))


class _Person:
    """A person who writes in sessions. Their kernel is brought back at the begin of each."""

    def __init__(self, store: Store, number: int) -> None:
        self._store, self._number = store, number
        self._random = Random(number)
        self._turns = turns(sys.maxsize, number)
        self._said = 0
        self.id = ""

    @classmethod
    async def of(cls, store: Store, number: int) -> _Person:
        """A person with `TURNS` turns, or up to eight more."""
        person = cls(store, number)
        while person._said < TURNS:
            await person.session()
        return person

    async def session(self) -> None:
        store, epoch = self._store, 0
        for _ in range(self._random.randint(1, SESSION)):
            message = Message(f"bench:{self._number}", f"{self._number}-{self._said}", Payload(Text("hello")))
            self.id = (await store.inbox.accept(message, now=0.0, max_pending=100)).person_id
            epoch = epoch or (await store.kernels.activate(self.id, owner="bench", model=ORIGIN)).epoch
            turn = await store.turns.next_turn(self.id, epoch, now=1.0, debounce=0.0)
            assert isinstance(turn, Turn)  # noqa: S101
            items, status = next(self._turns), TurnStatus.COMPLETED
            await store.turns.end(turn, epoch, items, [], status=status, usage=Usage(), now=1.0)
            self._said += 1


def _conversation(length: int, seed: int) -> EndedTurns:
    ended = EndedTurns(ORIGIN)
    for items in turns(length, seed):
        ended = ended.followed_by(items)
    return ended


class _NoModel:
    """Cuts nothing."""

    origin = "openai:bench"

    def shortened(self, item: dict[str, object], *_: object) -> dict[str, object]:
        return item


_KEYS = MasterKeys.parse("bench:" + base64.b64encode(os.urandom(32)).decode())

if __name__ == "__main__":
    main()
