"""With low vendor limits people are served in turn and informed honestly. The rate is kept, and nothing is lost."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.type import date_pb2
from kernel.v1 import admin_pb2, messages_pb2, outbox_pb2

from kernel_service.rate_limits.fair_queue import BURST_SECONDS
from kernel_service.rate_limits.token_bucket import Rate
from tests.connect_browser import a_browser
from tests.integration.test_kernelctl import ctl
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.faults import Call
    from emulators.vendor import Vendor
    from emulators.whatsapp.phones import Phone

SLACK_SECONDS = 0.1
"""A request may be in transit for longer than the one before it."""


class Log:
    """The time and the person of each request to a vendor whose path has the given end."""

    def __init__(self, vendor: Vendor, path: str = "") -> None:
        self.times: list[float] = []
        self.people: list[str] = []
        self._path = path
        self._came = asyncio.Event()
        vendor.hold(self._note)

    def _note(self, call: Call) -> bool:
        if call.path.endswith(self._path):
            self.times.append(time.monotonic())
            self.people.append(call.person)
            self._came.set()
        return False

    async def until(self, many: int) -> None:
        """Wait for this many requests."""
        while len(self.times) < many:
            self._came.clear()
            await self._came.wait()

    def kept(self, rate: Rate) -> bool:
        """Whether no interval has more requests than the rate and the saved-up burst allow."""
        return all(
            later - earlier >= (span * rate.interval) - rate.burst_seconds - SLACK_SECONDS
            for span in range(1, len(self.times))
            for earlier, later in zip(self.times, self.times[span:], strict=False)
        )


async def tell(world: World, user: str, number: int) -> Any:
    """A message with a separate answer: no other message uses the same user id."""
    request = messages_pb2.HandleMessageRequest(
        user_id=f"telegram:{user}",
        message_id=f"m{number}",
        address=f"bot{number}",
        payload=messages_pb2.Payload(text=f"hello {number}"),
    )
    return await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=60)


async def test_a_flooder_and_two_people_are_served_in_turn(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_model_per_minute=300, kernel_model_per_minute_per_user=0) as world:
        log = Log(world.emulators.openai)
        flood = [asyncio.create_task(tell(world, "flood", number)) for number in range(40)]
        await log.until(25)  # the saved-up burst is used up
        flooder = log.people[0]
        both = await asyncio.gather(*(_one_by_one(world, user) for user in ("ann", "bob")))
        answers = [*both, await asyncio.gather(*flood)]
        assert [len(each) for each in answers] == [3, 3, 40]
        assert all(f"hello {n}" in answer.replies[0].text for each in answers for n, answer in enumerate(each))
        assert len(log.times) == 46  # each was asked for once
        assert log.kept(Rate(300, BURST_SECONDS))
        places = [number for number, person in enumerate(log.people) if person != flooder]
        assert places[-1] - places[0] <= 2 * len(places)  # at most one of the flooder's for each of another person


async def _one_by_one(world: World, user: str) -> list[Any]:
    return [await tell(world, user, number) for number in range(3)]


async def test_one_persons_limit_does_not_delay_others(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_model_per_minute_per_user=6) as world:
        flood = [asyncio.create_task(tell(world, "flood", number)) for number in range(4)]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(10):
            assert (await tell(world, "ann", 0)).replies
            flooder = admin_pb2.PersonRef(user_id="telegram:flood")
            while await _problem_of(world, flooder) != "model_busy":
                await asyncio.sleep(0.02)
        for task in flood:
            task.cancel()


async def test_a_person_who_waits_long_is_told_through_the_outbox(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_model_per_minute=2) as world:
        assert "hello" in (await world.ask(world.phone("Alice"), "hello")).text
        inline = asyncio.create_task(tell(world, "cid", 0))  # half a minute, less what has passed
        told = re.fullmatch(r"I'm busy right now\. .* about (\d+) seconds\.", await _first_pulled(world))
        assert told is not None
        assert 15 <= int(told[1]) <= 30
        assert not inline.done()
        metrics = await world.metrics()
        assert "kernel_busy_notices_total 1.0" in metrics
        assert 'kernel_vendor_queue{vendor="model"} 1.0' in metrics
        assert 'kernel_vendor_wait_seconds_count{vendor="model"} 1.0' in metrics
        inline.cancel()


async def _problem_of(world: World, person: admin_pb2.PersonRef) -> str:
    request = admin_pb2.ListTurnsRequest(person=person)
    try:
        turns = (await world.admin.ListTurns(request, metadata=bearer(ADMIN_TOKEN))).turns
    except grpc.aio.AioRpcError:
        return ""
    return turns[0].problem if turns else ""


async def _first_pulled(world: World) -> str:
    request = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="i", max_in_flight=10)
    pulled = world.stub.PullOutbox(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)
    async for item in pulled:
        if item.HasField("reply"):
            return str(item.reply.reply.text)
    return ""


async def test_a_vendors_retry_time_is_respected_and_each_task_made_once(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    for phone in (alice, bob):
        await _connect(world, phone)
    log = Log(world.emulators.composio, "/execute")
    world.emulators.composio.fail(429, retry_after=2, match=lambda call: call.path.endswith("/execute"))
    await alice.send("create a task: Prepare the demo")
    await log.until(1)
    await bob.send("create a task: Buy milk")
    for phone, name in ((alice, "Prepare the demo"), (bob, "Buy milk")):
        assert name in (await phone.wait_for_message(timeout=20)).text
        tasks = [task.name for task in world.emulators.composio.tasks_of(await world.person_of(phone))]
        assert tasks.count(name) == 1
    assert len(log.times) == 3
    assert log.times[1] - log.times[0] >= 2 - SLACK_SECONDS


async def _connect(world: World, phone: Phone) -> None:
    offer = await world.ask(phone, "connect my asana")
    assert offer.link is not None
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    await world.ask(phone, f"Connect {code}")


# --- usage ----------------------------------------------------------------------------------------------------------


async def test_an_operator_sees_what_was_spent(world: World) -> None:
    alice = world.phone("Alice")
    await _connect(world, alice)
    await world.ask(alice, "list my tasks")
    await tell(world, "bob", 0)
    request = admin_pb2.GetUsageRequest(person=world.ref(alice))
    [day] = (await world.admin.GetUsage(request, metadata=bearer(ADMIN_TOKEN))).days
    assert {tool.tool: (tool.calls, tool.failures) for tool in day.tools}["ASANA_LIST_TASKS"] == (1, 0)
    [together] = (await world.admin.GetUsage(admin_pb2.GetUsageRequest(), metadata=bearer(ADMIN_TOKEN))).days
    assert together.usage.model_calls == day.usage.model_calls + 1
    shown = await ctl(world, "usage", f"whatsapp:{alice.user_id}")
    assert shown.exit_code == 0
    assert "ASANA_LIST_TASKS" in shown.stdout
    assert f"{day.usage.input_tokens:,}" in shown.stdout
    nothing = await ctl(world, "usage", "--from", "2020-01-01", "--to", "2020-01-02")
    assert nothing.stdout == "There is no usage from 2020-01-01 to 2020-01-02.\n"


def date(year: int, month: int, day: int) -> date_pb2.Date:
    return date_pb2.Date(year=year, month=month, day=day)


@pytest.mark.parametrize(
    "asked",
    [
        admin_pb2.GetUsageRequest(from_day=date(2026, 2, 30)),
        admin_pb2.GetUsageRequest(from_day=date(2026, 11, 30), to_day=date(2026, 11, 29)),
        admin_pb2.GetUsageRequest(from_day=date(2020, 1, 1), to_day=date(2021, 1, 1)),
    ],
)
async def test_days_that_make_no_sense_are_refused(world: World, asked: admin_pb2.GetUsageRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.admin.GetUsage(asked, metadata=bearer(ADMIN_TOKEN))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
