"""Level and form of the log, and what no line holds."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import logging
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from serving.logs import JsonFormatter, TextFormatter, about

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2 +4915123456789 https://connect.example.com/connect/nonce"


class Lines:
    """A logger and the lines that it writes."""

    def __init__(self, formatter: logging.Formatter, name: str) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(formatter)
        self.logger = logging.getLogger(name)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def fields(self) -> dict[str, Any]:
        [line] = self.text.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


def lines(formatter: logging.Formatter, name: str) -> Iterator[Lines]:
    found = Lines(formatter, name)
    found.logger.addHandler(found.handler)
    found.logger.propagate = False
    yield found
    found.logger.removeHandler(found.handler)
    found.logger.propagate = True


@pytest.fixture
def as_json() -> Iterator[Lines]:
    yield from lines(JsonFormatter(), "kernel_service.tests")


@pytest.fixture
def as_text() -> Iterator[Lines]:
    yield from lines(TextFormatter(), "kernel_service.tests")


@pytest.fixture
def of_library() -> Iterator[Lines]:
    yield from lines(JsonFormatter(), "library.tests")


def test_a_json_line_has_time_level_logger_and_message(as_json: Lines) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    as_json.logger.warning("serving")
    fields = as_json.fields
    assert fields.pop("time").endswith("Z")
    assert fields == {"level": "warning", "logger": "kernel_service.tests", "message": "serving"}
    assert dt.datetime.fromisoformat(json.loads(as_json.text)["time"]) > before


def test_named_values_are_fields_with_their_types(as_json: Lines) -> None:
    as_json.logger.error("100%% %s turn=%s seconds=%.1f holds=%d", "done", "tn_1", 2.25, 3)
    fields = as_json.fields
    assert fields["message"] == "100% done turn=tn_1 seconds=2.2 holds=3"
    assert (fields["turn"], fields["seconds"], fields["holds"]) == ("tn_1", 2.25, 3)


def test_a_named_value_replaces_none_of_the_four(as_json: Lines) -> None:
    as_json.logger.error("level=%s message=%s time=%s logger=%s", 1, 2, 3, 4)
    assert (as_json.fields["level"], as_json.fields["logger"]) == ("error", "kernel_service.tests")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"x", None, "a\nb\u2028\ud800"])
def test_any_value_becomes_one_valid_line(value: object) -> None:
    # Not by a logger: pytest would keep the line, and its workers cannot report a lone surrogate.
    record = logging.LogRecord("kernel_service.tests", logging.ERROR, "x.py", 1, "odd=%s", (value,), None)
    line = JsonFormatter().format(record)
    assert json.loads(line, parse_constant=pytest.fail)["odd"] is not None
    assert "\n" not in line


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_line_whose_values_do_not_fit_is_written_without_them(formatter: logging.Formatter) -> None:
    line = formatter.format(logging.LogRecord("x", logging.ERROR, "x.py", 1, "count=%d", (SECRET,), None))
    assert "count=%d" in line
    assert "hunter2" not in line


async def test_lines_have_the_ids_of_the_work_also_in_its_tasks_and_of_libraries(of_library: Lines) -> None:
    async def work() -> None:
        of_library.logger.error("retrying")

    with about(turn="tn_1"), about(person="p_1"):
        task = asyncio.create_task(work())
    await task
    assert (of_library.fields["turn"], of_library.fields["person"]) == ("tn_1", "p_1")
    with about(turn="tn_2"):
        pass
    of_library.logger.error("later")
    assert "turn" not in json.loads(of_library.text.splitlines()[1])


def test_named_values_of_libraries_are_no_fields(of_library: Lines) -> None:
    of_library.logger.error("person=%s", "somebody")
    assert "person" not in of_library.fields


def broken() -> None:
    try:
        os.environ[SECRET]
    except KeyError as cause:
        error = ValueError(SECRET)
        error.add_note(SECRET)
        raise ExceptionGroup(SECRET, [error, OSError(111, SECRET, SECRET)]) from cause


@pytest.mark.parametrize("form", ["as_json", "as_text"])
def test_an_exception_is_named_with_its_places_and_without_any_text(form: str, request: pytest.FixtureRequest) -> None:
    written: Lines = request.getfixturevalue(form)
    try:
        broken()
    except ExceptionGroup:
        written.logger.exception("turn failed turn=%s", "tn_1")
    told = written.fields["exception"] if form == "as_json" else written.text
    for part in ("in broken", "builtins.ExceptionGroup", "builtins.ValueError", "ConnectionRefusedError", "KeyError"):
        assert part in told
    assert not any(word in told for word in SECRET.split())


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = ValueError()
    error.__cause__ = error
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "m", None, (ValueError, error, None))
    assert TextFormatter().format(record).count("ValueError") == 1


def test_a_text_line_is_one_line(as_text: Lines) -> None:
    as_text.logger.error("code=%s", "131026\n2026-01-01 ERROR forged")
    assert as_text.text.count("\n") == 1


def test_a_text_line_has_time_level_logger_and_message(as_text: Lines) -> None:
    as_text.logger.warning("serving turn=%s", "tn_1")
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING kernel_service\.tests serving turn=tn_1\n"
    assert re.fullmatch(form, as_text.text)


def run(code: str, module: str = "serving.logs", **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)} | settings
    command = [sys.executable, "-c", f"from {module} import *\n{code}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


EVERY_WAY = """
import logging, threading, warnings
set_up("kernel_service")
logging.getLogger("kernel_service.x").debug("our own")
logging.getLogger("library").debug("hunter2")
logging.getLogger("library").warning("retrying")
warnings.warn("old")
def broken(): raise ValueError("hunter2")
thread = threading.Thread(target=broken); thread.start(); thread.join()
class Odd:
    def __del__(self): raise ValueError("hunter2")
del_me = Odd(); del del_me
broken()
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_every_way_to_write_has_the_form_and_no_text_of_an_error(form: str) -> None:
    ended = run(EVERY_WAY, LOG_LEVEL="DEBUG", LOG_FORMAT=form)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "hunter2" not in ended.stderr.replace('raise ValueError("hunter2")', "")
    assert "our own" in ended.stderr
    assert ended.stderr.count("builtins.ValueError") == 3
    if form == "json":
        levels = [json.loads(line)["level"] for line in ended.stderr.splitlines()]
        assert levels == ["debug", "warning", "warning", "error", "error", "critical"]


@pytest.mark.parametrize(
    ("level", "written"), [("", ["info"]), ("debug", ["debug", "info"]), ("error", []), ("loud", ["info"])]
)
def test_the_level_is_that_of_the_setting(level: str, written: list[str]) -> None:
    code = 'set_up("x"); log = logging.getLogger("kernel_service"); log.debug("d"); log.info("i")'
    ended = run(f"import logging\n{code}", LOG_LEVEL=level, LOG_FORMAT="JSON")
    assert [json.loads(line)["level"] for line in ended.stderr.splitlines()] == written


def test_a_record_has_no_place_in_the_code() -> None:
    code = """import logging
set_up("x")
logging.getLogger().addFilter(lambda record: print(record.lineno, record.funcName))
logging.getLogger().warning("serving")"""
    assert run(code).stdout == "0 (unknown function)\n"


def test_a_program_that_embeds_the_client_keeps_its_own_log() -> None:
    code = """import asyncio, logging, sys
before = sys.excepthook, logging.raiseExceptions, logging.getLogger("kernel_client").level
logging.basicConfig(format="%(filename)s:%(lineno)d %(message)s", stream=sys.stdout)
async def main():
    async with KernelClient("127.0.0.1:9", "token") as kernel:
        try: await kernel.send("terminal:1", "hello", timeout=0.2)
        except KernelError: logging.warning("mine")
asyncio.run(main())
assert before == (sys.excepthook, logging.raiseExceptions, logging.getLogger("kernel_client").level)"""
    ended = run(code, "kernel_client")
    assert (ended.stdout.splitlines()[-1:], ended.returncode) == (["<string>:8 mine"], 0), ended.stderr


def test_a_handler_of_a_bot_developer_can_show_process_and_thread_as_numbers() -> None:
    code = """import logging
set_up("x")
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(process)d %(thread)d %(processName)s %(threadName)s %(message)s"))
logging.getLogger().addHandler(handler)
logging.getLogger().warning("serving")"""
    assert re.fullmatch(r"\d+ \d+ MainProcess MainThread serving\n", run(code).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["kernel_service", "whatsapp_gateway"])
def test_missing_and_wrong_settings_are_lines_of_the_log(service: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "LOG_FORMAT": "json"}
    environment |= {"LOG_LEVEL": "loud"}
    command = [sys.executable, "-m", service]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert told
    assert {line["logger"] for line in told} == {service}
    [of_level] = [line["message"] for line in told if line["message"].startswith("LOG_LEVEL")]
    assert "'debug', 'info', 'warning' or 'error'" in of_level
