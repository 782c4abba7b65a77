"""`python -m benchmarks.counting <file> <module>`: runs a service and counts what it does, in a file that others read.

Counted are the calls by which a service makes work for itself: tasks and timers of its loop, units of work, statements
and commits of its database (SQLite), and messages of its gRPC server. The kernel service sweeps only at its start.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import mmap
import runpy
import sqlite3.dbapi2
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("tasks", "timers", "units", "statements", "commits", "grpc_messages")
_SIZE = 8 * len(NAMES)
_ENGINE = "kernel_service.storage.engine.sqlite"
_SWEEPER = "kernel_service.sweeper"
_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


class Counts:
    """Counters in a file, shared between the process that counts and the one that reads."""

    def __init__(self, file: Path) -> None:
        """Creates the file unless it exists."""
        if not file.exists():
            file.write_bytes(bytes(_SIZE))
        with file.open("r+b") as shared:
            self._values = memoryview(mmap.mmap(shared.fileno(), _SIZE)).cast("Q")

    def add(self, name: str) -> None:
        # The interpreter's lock is enough: the writer of a database counts other names than the loop.
        self._values[NAMES.index(name)] += 1

    def read(self) -> dict[str, int]:
        return dict(zip(NAMES, self._values, strict=True))


def _count_loop(counts: Counts) -> None:
    kinds = {"create_task": "tasks", "call_later": "timers"}  # call_at() calls call_later()
    methods = {method: _counting(getattr(uvloop.Loop, method), counts, name) for method, name in kinds.items()}
    counted_loop: Any = type("CountedLoop", (uvloop.Loop,), methods)
    uvloop.run = functools.partial(uvloop.run, loop_factory=counted_loop)


def _count_statements(counts: Counts) -> None:
    def note(statement: str) -> None:
        if statement.startswith("COMMIT"):
            counts.add("commits")
        elif not statement.startswith(_TRANSACTION) and not statement.startswith("--"):
            counts.add("statements")

    driver: Any = sqlite3.dbapi2
    connect = driver.connect

    def counted(*given: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **options)
        connection.set_trace_callback(note)
        return connection

    driver.connect = counted


def _count_units(counts: Counts) -> None:
    engine = importlib.import_module(_ENGINE).SqliteEngine
    for name in ("write", "write_behind", "write_apart", "read"):
        setattr(engine, name, _counting(getattr(engine, name), counts, "units"))


def _count_messages(counts: Counts) -> None:
    def codec(function: Any) -> Any:
        """Only those of the generated code, which are written in C: an interceptor puts its own around them."""
        in_c = inspect.isbuiltin(function) or inspect.ismethoddescriptor(function)
        return _counting(function, counts, "grpc_messages") if in_c else function

    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        make = getattr(grpc, f"{kind}_rpc_method_handler")

        def counted(behavior: Any, read: Any = None, write: Any = None, *, make: Any = make, **codecs: Any) -> Any:
            read = codecs.get("request_deserializer", read)
            write = codecs.get("response_serializer", write)
            return make(behavior, codec(read), codec(write))

        setattr(grpc, f"{kind}_rpc_method_handler", counted)


def _sweep_only_at_start() -> None:
    """Sweeps come by the clock, not by the message, and a count of a few seconds sees now one more and now one less."""
    sweeper = importlib.import_module(_SWEEPER)
    for name in ("FAST_SECONDS", "SLOW_SECONDS", "DUE_SECONDS"):
        if not hasattr(sweeper, name):
            raise AttributeError(f"{_SWEEPER} has no {name}: the sweeps would be counted")
        setattr(sweeper, name, sweeper.RETENTION_SECONDS)


def _counting(function: Callable[..., Any], counts: Counts, name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*given: Any, **options: Any) -> Any:
        counts.add(name)
        return function(*given, **options)

    return counted


def main() -> None:
    file, module = sys.argv[1:]
    counts = Counts(Path(file))
    _count_loop(counts)
    if module == "kernel_service":
        _count_statements(counts)
        _count_units(counts)
        _count_messages(counts)
        _sweep_only_at_start()
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
