"""Sets up the log of a process: its level, its form, and what no line of it holds.

A message of ours is a fixed text with `name=%s` pairs, as `log.info("turn held turn=%s seconds=%.1f", …)`. The JSON
form has each pair as a field, too. `about` adds the ids of the current work to every line, those of libraries included.

The text of an exception is never written, since it may repeat what a person said, a number, a token or a link. Its type
and the places in the code are. The debug lines of libraries are never written either, for the same reason.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")
BAD_SETTINGS: Final = 2
"""The exit code of a process that refuses its settings."""

OWN: Final = ("kernel_service", "whatsapp_gateway", "kernel_client", "serving", "emulators")
"""The packages whose debug lines are written, and whose messages have named values."""
_VALUE: Final = re.compile(r"(?:([a-z_]+)=)?%[-#0 +]*\d*(?:\.\d+)?([a-zA-Z%])")
_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids", default={})  # noqa: B039 - never changed in place


def set_up(program: str) -> None:
    """Follow LOG_LEVEL and LOG_FORMAT of the environment. Call it before the settings are read.

    Then an error in a setting has the right form as well. A wrong value of these two counts as the default here; the
    settings refuse it afterwards.
    """
    level = _chosen("LOG_LEVEL", LEVELS, "info").upper()
    as_json = _chosen("LOG_FORMAT", FORMATS, "text") == "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    # Libraries log what they send and receive on DEBUG.
    logging.basicConfig(level=max(logging.INFO, logging.getLevelNamesMapping()[level]), handlers=[handler])
    for package in OWN:
        logging.getLogger(package).setLevel(level)
    _leave_out_places()
    logging.raiseExceptions = False  # its report has another form, and holds the values
    logging.captureWarnings(capture=True)
    if as_json:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own lines go past `logging`; calls raise the errors
    _log_uncaught_errors(logging.getLogger(program))


def refuse(program: str, problems: Sequence[str]) -> NoReturn:
    """End a process that cannot start, with one line for each problem that the operator has to solve."""
    for problem in problems:
        report(program, problem)
    sys.exit(BAD_SETTINGS)


def report(program: str, problem: str) -> None:
    """A line for the operator who started the process. As text it has no time and no level."""
    if any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers):
        logging.getLogger(program).critical("%s", problem)
    else:
        sys.stderr.write(f"{program}: {problem}\n")
        sys.stderr.flush()


class about:  # noqa: N801 - called like a function, as contextlib.suppress is
    """The JSON lines that are written inside the block, and in tasks begun there, have these fields."""

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: str) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._token = _ids.set({**_ids.get(), **self._ids})

    def __exit__(self, *_: object) -> None:
        _ids.reset(self._token)


class TextFormatter(logging.Formatter):
    """Lines for people. Below the line of an exception come the places where it was raised."""

    def format(self, record: logging.LogRecord) -> str:
        time = f"{_local_second(int(record.created))},{int(record.msecs):03}"
        line = f"{time} {record.levelname} {record.name} {message_of(record)}"
        line = line.replace("\n", "\\n").replace("\r", "\\r")
        return line if (error := _error_of(record)) is None else f"{line}\n{without_texts(error)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, ids, named values, exception."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": f"{_utc_second(int(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
        }
        own = record.name.partition(".")[0] in OWN
        named = _named(record) if own else {}
        for name, value in {**_ids.get(), **named}.items():
            fields.setdefault(name, _plain(value))
        if (error := _error_of(record)) is not None:
            fields["exception"] = without_texts(error)
        return json.dumps(fields)


@lru_cache(maxsize=1)  # lines come in bursts
def _local_second(second: int) -> str:
    return datetime.fromtimestamp(second).isoformat(" ")  # noqa: DTZ006 - for people on this machine


@lru_cache(maxsize=1)
def _utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


def message_of(record: logging.LogRecord) -> str:
    """The message; the bare text if the values do not fit it."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a mistake in a line must not cost the line, nor end the work
        return str(record.msg)


def without_texts(error: BaseException | None) -> str:
    """The types of an exception and its causes, each with the places in the code, the outermost first."""
    told, seen = [], set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kind = type(error)
        told.append("".join(traceback.format_tb(error.__traceback__)) + f"{kind.__module__}.{kind.__qualname__}")
        told += [without_texts(each) for each in getattr(error, "exceptions", ()) if isinstance(each, BaseException)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by:\n".join(told)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _named(record: logging.LogRecord) -> dict[str, Any]:
    if not isinstance(record.args, tuple) or not isinstance(record.msg, str):
        return {}
    return {name: value for name, value in zip(_names(record.msg), record.args, strict=False) if name}


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[str, ...]:
    """The name of each value in a message; empty: it has none."""
    return tuple(name or "" for name, kind in _VALUE.findall(text) if kind != "%")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else str(value)
    return value if isinstance(value, str | int) else str(value)


def _leave_out_places() -> None:
    """No line shows its place in the code, and to find it out costs a good part of a line.

    Process and thread stay: a handler of a bot developer's module may format them as numbers, and would lose its lines.
    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None  # noqa: SLF001 - the documented way
    if sys.version_info >= (3, 12):
        logging.logAsyncioTasks = False


def _chosen(name: str, known: Sequence[str], default: str) -> str:
    value = os.environ.get(name, "").strip().lower()
    return value if value in known else default


def _log_uncaught_errors(log: logging.Logger) -> None:
    def in_main(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("the process ends with an error that is not caught", exc_info=error)

    def in_thread(told: threading.ExceptHookArgs) -> None:
        log.error("a thread ends with an error that is not caught", exc_info=told.exc_value)

    def in_destructor(told: Any) -> None:
        log.error("an error in a destructor or a callback", exc_info=told.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_destructor
