"""`python -m benchmarks.memory`: what a resident kernel costs, and what its history costs a turn.

- The slope of the resident memory per kernel with 50 turns, from 10,000 to 100,000 kernels.
- The time to bring a kernel back from the store, with 50 turns, on SQLite and on PostgreSQL.
- The CPU time of a turn for its history at 10, 50 and 200 turns: reading it, the request's items, appending the turn.
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import databases
from benchmarks.conversations import turns
from benchmarks.figures import percentile
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.kernel import Kernel
from kernel_service.ports.kernels import Activation
from kernel_service.ports.messages import Message, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import Turn, TurnStatus
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from kernel_service.turns.context.context_window import ContextWindow
from kernel_service.turns.context.transcript import Transcript

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

TURNS = 50
FEW, MANY = 10_000, 100_000
DISTINCT = 200
"""Conversations that are packed; each kernel has its own copy of one."""
LONG = (10, 50, 200)
PEOPLE = 200
ROUNDS = 200


class Slope(NamedTuple):
    """In bytes per kernel: of the resident memory, and as the evictor counts."""

    resident: float
    counted: float


class Back(NamedTuple):
    """The milliseconds until a kernel is resident again."""

    p50: float
    p99: float


def main() -> None:
    slope = resident_slope()
    print(f"a resident kernel with {TURNS} turns: {slope.resident:,.0f} bytes, counted as {slope.counted:,.0f}")
    for length in LONG:
        print(f"history of {length} turns: {turn_cost(length):.3f} ms of CPU for a turn")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        for name, kind in (("SQLite", databases.sqlite), ("PostgreSQL", databases.postgres)):
            back = asyncio.run(brought_back(stack.enter_context(kind(Path(folder)))()))
            print(f"bringing back on {name}: p50 {back.p50:.2f} ms, p99 {back.p99:.2f} ms")


def resident_slope() -> Slope:
    packed = [_conversation(TURNS, seed) for seed in range(DISTINCT)]
    kernels: dict[str, Kernel] = {}
    at: dict[int, int] = {}
    for number in range(MANY):
        person_id = f"p_{number:026}"
        kernel = Kernel(Activation(person_id, 1, []), time.time())
        kernel.history.keep(_copied(packed[number % DISTINCT]), [])
        kernels[person_id] = kernel
        if number + 1 in (FEW, MANY):
            at[number + 1] = _resident_bytes()
    return Slope((at[MANY] - at[FEW]) / (MANY - FEW), sum(kernel.bytes for kernel in kernels.values()) / MANY)


def turn_cost(length: int) -> float:
    """Milliseconds of CPU, without the model and the store."""
    kernel = Kernel(Activation("p_1", 1, []), 0.0)
    kernel.history.keep(_conversation(length, 1), [])
    ended = kernel.history.ended
    items = next(turns(1, 2))
    began = time.thread_time()
    for _ in range(ROUNDS):
        transcript = Transcript(kernel.history.open_items(), _NoModel(), ended)  # type: ignore[arg-type]
        window = ContextWindow(transcript, transcript.model, kernel.context_tokens)
        transcript.unstored = items[:1]
        window.is_full()
        window.for_model()
        transcript.unstored = items
        _ = transcript.tainted
        transcript.mark_stored()
        kernel.history.keep(ended.followed_by(transcript.stored), [])
    return (time.thread_time() - began) * 1000 / ROUNDS


async def brought_back(database_url: str) -> Back:
    store = await open_store(database_url, _KEYS)
    try:
        people = [await _person(store, number) for number in range(PEOPLE)]
        took = []
        for _ in range(3):
            for person_id in people:
                began = time.perf_counter()
                Kernel(await store.kernels.activate(person_id, owner="bench"), 0.0)
                took.append((time.perf_counter() - began) * 1000)
        return Back(percentile(took, 50), percentile(took, 99))
    finally:
        await store.close()


async def _person(store: Store, number: int) -> str:
    """A person with `TURNS` turns in the journal."""
    message = Message(f"bench:{number}", f"m{number}", Payload(Text("hello")))
    person_id = (await store.inbox.accept(message, now=0.0, max_pending=100)).person_id
    epoch = (await store.kernels.activate(person_id, owner="bench")).epoch
    turn = await store.turns.next_turn(person_id, epoch, now=1.0, debounce=0.0)
    assert isinstance(turn, Turn)  # noqa: S101
    items = [item for turn_items in turns(TURNS, number) for item in turn_items]
    await store.turns.end(turn, epoch, items, [], status=TurnStatus.COMPLETED, usage=Usage(), now=1.0)
    return person_id


def _conversation(length: int, seed: int) -> EndedTurns:
    ended = EndedTurns()
    for items in turns(length, seed):
        ended = ended.followed_by(items)
    return ended


def _copied(ended: EndedTurns) -> EndedTurns:
    outline, *segments = (bytes(bytearray(part)) for part in (ended.outline, *ended.segments))
    return EndedTurns(outline, ended.tokens, tuple(segments))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _NoModel:
    """Cuts nothing."""

    origin = "openai:bench"

    def shortened(self, item: dict[str, object], *_: object) -> dict[str, object]:
        return item


_KEYS = MasterKeys.parse("bench:" + base64.b64encode(os.urandom(32)).decode())

if __name__ == "__main__":
    main()
