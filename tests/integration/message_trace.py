"""The path of one text message through both services, traced function by function.

`python -m tests.integration.message_trace` writes docs/contributing/one-message.md, and a test compares them.

The whole product runs in one process, on SQLite, without tools. A profiler sees every function that Python enters in
any thread. Several new people each send one message, and the path is what all of these traces have in common: what only
some of them show is a timer or a race. A function that was suspended and continues is not entered again.
"""

from __future__ import annotations

import ast
import asyncio
import dis
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from unittest.mock import patch

from tests.integration.world import World, whole_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType, FrameType

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent
PACKAGES = tuple(f"{ROOT}/{package}/" for package in ("whatsapp_gateway", "kernel_client", "kernel_service", "serving"))
DOCUMENT = ROOT / "docs" / "contributing" / "one-message.md"
BEGIN, END = "<!-- one message: begin -->\n", "<!-- one message: end -->\n"
MESSAGES = 3
TIMERS = frozenset({"Sweeper._every", "StallDetector.run"})
"""Tasks that run whether anybody writes or not."""


class Function(NamedTuple):
    """`file` is relative to the repository. A function inside another one counts as the outer one."""

    file: str
    name: str


@dataclass
class Trace:
    """`calls` are all calls from a function of ours to one in another file of ours, without those by libraries."""

    entered: dict[Function, None] = field(default_factory=dict)
    calls: list[tuple[Function, Function]] = field(default_factory=list)


@dataclass(frozen=True)
class MessagePath:
    """The files in the order in which the message reaches them, with their functions in that order."""

    files: dict[str, list[Function]]
    entrances: frozenset[Function]
    """The functions that are called from another file, or by a library."""
    changes_of_file: int
    """Calls from one file into another, each time; `crossings` counts each caller and callee once."""
    crossings: int

    @property
    def functions(self) -> int:
        return sum(map(len, self.files.values()))


# --- tracing --------------------------------------------------------------------------------------------------------


class Tracer:
    """Records the functions entered by every thread that starts while it is installed."""

    def __init__(self) -> None:
        self._trace: Trace | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self) -> Iterator[Trace]:
        self._trace = trace = Trace()
        try:
            yield trace
        finally:
            self._trace = None

    def _see(self, frame: FrameType, event: str, _argument: Any) -> None:
        trace = self._trace
        if trace is None or event != "call" or not _is_ours(frame.f_code) or not _is_first_entry(frame):
            return
        if _outermost(frame).co_qualname in TIMERS:
            return
        function = _function(frame.f_code)
        trace.entered.setdefault(function)
        caller = frame.f_back
        if caller is not None and _is_ours(caller.f_code) and _function(caller.f_code).file != function.file:
            trace.calls.append((_function(caller.f_code), function))


def _outermost(frame: FrameType) -> CodeType:
    """The outermost function of ours on this stack."""
    code, caller = frame.f_code, frame.f_back
    while caller is not None:
        if _is_ours(caller.f_code):
            code = caller.f_code
        caller = caller.f_back
    return code


@cache
def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(PACKAGES)


@cache
def _function(code: CodeType) -> Function:
    return Function(code.co_filename.removeprefix(f"{ROOT}/"), code.co_qualname.partition(".<locals>")[0])


def _is_first_entry(frame: FrameType) -> bool:
    return frame.f_lasti <= _start(frame.f_code)


@cache
def _start(code: CodeType) -> int:
    return next(step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")


# --- the path -------------------------------------------------------------------------------------------------------


async def trace_messages(folder: Path) -> list[Trace]:
    """Trace one message of each of several new people."""
    tracer = Tracer()
    an_hour = 3600.0
    with (
        tracer.installed(),
        patch("kernel_service.sweeper.FAST_SECONDS", an_hour),
        patch("kernel_service.sweeper.SLOW_SECONDS", an_hour),
        patch("kernel_service.outbox.outbox.POLL_SECONDS", an_hour),
        # Whether units share a commit is a race: here each has its own.
        patch("kernel_service.storage.engine.gathering.BATCH", 1),
        patch("kernel_service.storage.engine.sqlite.BATCH", 1),
    ):
        async with whole_world(folder, kernel_sweep_seconds=an_hour, kernel_emulated_clock=None) as world:
            return [await _trace_one(world, tracer, f"Person {number}") for number in range(MESSAGES)]


async def _trace_one(world: World, tracer: Tracer, label: str) -> Trace:
    phone = world.phone(label)
    effects = world.emulators.effects
    with tracer.recording() as trace:
        answer = await world.ask(phone, "hello")
        assert answer.text
        await effects.wait_for(lambda effect: effect.kind == "status_taken" and effect.detail["status"] == "delivered")
        await _quiet(trace)
    return trace


async def _quiet(trace: Trace) -> None:
    """Wait until the acknowledgement and the receipts have ended, too."""
    entered = -1
    while entered != len(trace.calls):
        entered = len(trace.calls)
        await asyncio.sleep(0.3)


def path_of(traces: list[Trace]) -> MessagePath:
    """The common part of all traces, in its average order."""
    common = set.intersection(*(set(trace.entered) for trace in traces))
    orders = [[function for function in trace.entered if function in common] for trace in traces]
    files: dict[str, list[Function]] = {
        file: [] for file in _average_order([function.file for function in order] for order in orders)
    }
    for function in _average_order(orders):
        files[function.file].append(function)
    called = {callee for trace in traces for _, callee in trace.calls}
    return MessagePath(
        files=files,
        entrances=frozenset(common & called),
        changes_of_file=min(len(trace.calls) for trace in traces),
        crossings=len(set.intersection(*(set(trace.calls) for trace in traces))),
    )


def _average_order(orders: Iterable[Sequence[T]]) -> list[T]:
    """The items, sorted by the average of their first positions. All orders have the same items."""
    positions: dict[T, int] = {}
    for order in orders:
        for position, item in enumerate(dict.fromkeys(order)):
            positions[item] = positions.get(item, 0) + position
    return sorted(positions, key=lambda item: positions[item])


# --- the document ---------------------------------------------------------------------------------------------------


def section(path: MessagePath) -> str:
    """The path in Markdown: rooms, files and the functions that other files call, in the order of the message."""
    rooms: dict[str, list[str]] = {}
    for file in path.files:
        rooms.setdefault(str(Path(file).parent), []).append(file)
    lines = [
        f"{path.functions} functions in {len(path.files)} files of {len(rooms)} packages; {path.changes_of_file} calls",
        f"from one file into another, by {path.crossings} pairs of functions. Listed is what another file calls.",
    ]
    for room, files in rooms.items():
        lines += ["", f"<details><summary><b>{room}</b> ({len(files)})</summary>", ""]
        for file in files:
            purposes = _purposes(ROOT / file)
            lines.append(_line(f"- `{Path(file).name}`", purposes.get("", "")))
            entrances = [function.name for function in path.files[file] if function in path.entrances]
            lines += [_line(f"  - `{name}`", purposes.get(name, "")) for name in entrances]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _line(name: str, purpose: str) -> str:
    return f"{name}: {purpose}" if purpose else name


def _purposes(file: Path) -> dict[str, str]:
    """The first sentence of each docstring, by qualified name. The module's has the empty name."""
    found: dict[str, str] = {}

    def note(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
        sentence, separator, _ = text.partition(". ")
        found[name] = sentence + "." if separator else text
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                note(child, f"{name}.{child.name}".lstrip("."))
        if isinstance(node, ast.ClassDef):
            found[f"{name}.__init__"] = found.get(f"{name}.__init__") or found[name]

    note(ast.parse(file.read_text()), "")
    return found


def written() -> str:
    """The section as it is in the document."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]


def write(text: str) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + text + END + rest.partition(END)[2])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(section(path_of(asyncio.run(trace_messages(Path(folder))))))


if __name__ == "__main__":
    main()
