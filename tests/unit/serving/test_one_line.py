"""Each failure of a request is one line: limited per kind, and without anything that was received."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from serving.one_line import MOST_LINES, PERIOD_SECONDS, OneLine, one_line

SECRET = "nonce-that-nobody-may-read"


class Log:
    """A logger with the filter, and the lines that passed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self._logger = logging.Logger("a logger of this test")  # noqa: LOG001 - one for each test
        self._logger.addFilter(OneLine(lambda: self.now))
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(handler.format(record))  # type: ignore[method-assign]
        self._logger.addHandler(handler)

    def fail(self, message: str = "Error handling request from %s", *args: Any, error: Exception | None = None) -> None:
        try:
            raise error or RuntimeError(SECRET)  # noqa: TRY301 - for its traceback
        except Exception:
            self._logger.exception(message, *args or ["6.6.6.6"][: message.count("%")])

    def tell(self, message: str) -> None:
        self._logger.error(message)


@pytest.mark.parametrize(
    ("message", "begins"),
    [
        ("Error handling request from %s", "Error handling request: RuntimeError at test_one_line.py:"),
        (f"Task exception was never retrieved\nfuture: <Task '{SECRET}'>", "Task exception was never retrieved: "),
        (f"Exception in callback f(b'{SECRET}')\nhandle: <Handle>", "Exception in callback f: RuntimeError"),
        ("", "error: RuntimeError"),
        (f"<{SECRET}>", "error: RuntimeError"),
    ],
)
def test_the_line_names_the_error_and_its_place(message: str, begins: str) -> None:
    log = Log()
    log.fail(message)
    [line] = log.lines
    assert line.startswith(begins)
    assert SECRET not in line
    assert "\n" not in line
    assert len(line) < 120


def test_a_line_without_an_error() -> None:
    log = Log()
    log.tell(f"Unclosed connection\nclient_connection: <{SECRET}>")
    assert log.lines == ["Unclosed connection"]


def test_lines_of_a_kind_are_limited_per_minute_and_dropped_ones_counted() -> None:
    log = Log()
    for _ in range(MOST_LINES + 7):
        log.fail()
    assert len(log.lines) == MOST_LINES
    log.fail(error=ValueError())
    assert len(log.lines) == MOST_LINES + 1, "another kind has its own"
    log.now += PERIOD_SECONDS
    log.fail()
    assert log.lines[-1].endswith("(7 more since the last line)")


def test_a_logger_has_the_filter_once() -> None:
    name = "a name of this test"
    assert one_line(name) is one_line(name)
    assert len(logging.getLogger(name).filters) == 1
