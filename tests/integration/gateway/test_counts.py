"""The gateway's work for answered messages under load, by kind, so that a change that adds some is seen."""

import asyncio
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from emulators.app import Emulators
from emulators.whatsapp.phones import Phone
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import NUMBER

PEOPLE = 40
OURS = "/whatsapp_gateway/"
NEW_CONNECTION = "/aiohttp/connector.py"


class Work:
    """Counts the tasks of the gateway's coroutines, and the timers that it or a library sets for it.

    How many connections are opened depends on the machine, so their timers do not count.
    """

    def __init__(self) -> None:
        self.tasks = Counter[str]()
        self.timers = Counter[str]()

    def task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:
        code = getattr(coroutine, "cr_code", None)
        if code is not None and OURS in code.co_filename:
            self.tasks[code.co_qualname] += 1
        return asyncio.Task(coroutine, loop=loop, **more)

    def timer(self, frame: FrameType | None) -> None:
        while frame is not None and not (file := frame.f_code.co_filename).endswith(NEW_CONNECTION):
            if OURS in file:
                self.timers[frame.f_code.co_qualname] += 1
                return
            frame = frame.f_back


@pytest.fixture
def phones(emulators: Emulators) -> list[Phone]:
    return [emulators.whatsapp.add_phone(f"Person {number}") for number in range(PEOPLE)]


@pytest.fixture
async def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    loop, work = asyncio.get_running_loop(), Work()
    call_at = loop.call_at

    def counted(*given: Any, **more: Any) -> asyncio.TimerHandle:
        work.timer(sys._getframe(1))
        return call_at(*given, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    monkeypatch.setattr(loop, "_task_factory", work.task)
    return work


async def test_an_answered_message_costs_two_tasks_two_timers_and_one_call(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, phones: list[Phone], work: Work
) -> None:
    await gateway.has_streams(1)
    before = len(kernel.calls)
    asked = await asyncio.gather(*(phone.send("hello") for phone in phones))
    for phone, question in zip(phones, asked, strict=True):
        kernel.show_typing(NUMBER, f"whatsapp:{phone.user_id}", question.id)
    await emulators.effects.wait_for(lambda _: len(emulators.effects.all("graph_read")) == PEOPLE)
    for number, (phone, question) in enumerate(zip(phones, asked, strict=True)):
        kernel.lease("Hi.", user_id=f"whatsapp:{phone.user_id}", id=f"rp_{number}", answers_message_id=question.id)
    await kernel.until(lambda: len(kernel.acks) == PEOPLE and len(kernel.receipts) == 2 * PEOPLE)

    calls = Counter(kernel.calls[before:])
    assert calls.pop("HandleMessage") == PEOPLE
    assert sum(calls.values()) < PEOPLE / 2, calls
    assert kernel.separate_calls.count("HandleMessage") == 0
    assert [len(emulators.effects.all(kind)) for kind in ("graph_read", "graph_send")] == [PEOPLE, PEOPLE]
    assert work.tasks.total() <= 2.25 * PEOPLE, work.tasks
    assert work.timers.total() <= 2.25 * PEOPLE, work.timers
    assert work.tasks["Deliveries._deliver_after"] == work.tasks["TypingIndicator._mark_read"] == PEOPLE
