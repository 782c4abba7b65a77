"""A channel creates, lists and deletes a person's schedules; an operator sees and deletes them without their words."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import messages_pb2, schedules_pb2

from tests.integration.test_kernelctl import ctl
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = bearer(TELEGRAM_TOKEN)
REMIND, DO = schedules_pb2.SCHEDULE_KIND_REMIND, schedules_pb2.SCHEDULE_KIND_DO
ANN: dict[str, Any] = {"user_id": "telegram:1"}
WEEKDAYS: dict[str, Any] = ANN | {
    "request_id": "r1",
    "kind": REMIND,
    "request": "call Ada",
    "cron": "30 8 * * 1-5",
    "time_zone": "Europe/Berlin",
}
DAY = 86_400


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path) as whole:
        yield whole


async def say(world: World, *, user_id: str = "telegram:1", time_zone: str = "", address: str = "desk") -> None:
    request = messages_pb2.HandleMessageRequest(
        user_id=user_id,
        message_id=f"m{time.time_ns()}",
        payload=messages_pb2.Payload(text="hello"),
        time_zone=time_zone,
        address=address,
    )
    await world.stub.HandleMessage(request, metadata=TOKEN, timeout=20)


async def create(world: World, **given: Any) -> schedules_pb2.Schedule:
    request = schedules_pb2.CreateScheduleRequest(**given)
    return (await world.stub.CreateSchedule(request, metadata=TOKEN, timeout=20)).schedule


async def listed(world: World, **given: Any) -> schedules_pb2.ListSchedulesResponse:
    request = schedules_pb2.ListSchedulesRequest(**ANN | given)
    return await world.stub.ListSchedules(request, metadata=TOKEN, timeout=20)


async def delete(world: World, schedule_id: str, **given: Any) -> schedules_pb2.DeleteScheduleResponse:
    request = schedules_pb2.DeleteScheduleRequest(**ANN | {"schedule_id": schedule_id} | given)
    return await world.stub.DeleteSchedule(request, metadata=TOKEN, timeout=20)


async def refused(call: Any) -> tuple[str, str, str]:
    """The status, the reason and the field of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    status = rpc_status.from_call(error.value)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return error.value.code().name, info.reason, bad.field_violations[0].field if bad.field_violations else ""


async def test_a_schedule_is_created_once_listed_and_deleted(world: World) -> None:
    await say(world, time_zone="Asia/Tokyo")
    first = await create(world, **WEEKDAYS)
    assert (first.kind, first.request, first.cron, first.time_zone) == (
        REMIND,
        "call Ada",
        "30 8 * * 1-5",
        "Europe/Berlin",
    )
    assert first.description.startswith("Every weekday at 08:30, Berlin time; next: ")
    assert first.next_due_at.seconds > time.time()
    assert not first.HasField("paused_at")
    assert first.WhichOneof("when") == "cron"
    at = Timestamp(seconds=int(time.time()) + DAY, nanos=500_000_000)
    once = await create(world, **ANN, request_id="r2", kind=DO, request="sum up the news", at=at)
    assert (once.at, once.next_due_at, once.time_zone, once.WhichOneof("when")) == (at, at, "Asia/Tokyo", "at")
    assert once.description.startswith("Tomorrow, ")
    assert await create(world, **WEEKDAYS) == first
    assert list((await listed(world)).schedules) == [first, once]
    assert (await delete(world, first.id)).schedule == first
    assert not (await delete(world, first.id)).HasField("schedule")
    assert list((await listed(world)).schedules) == [once]


async def test_a_repeat_is_the_same_request_after_the_person_has_moved(world: World) -> None:
    await say(world, time_zone="Asia/Tokyo")
    given = ANN | {"request_id": "r1", "kind": DO, "request": "news", "cron": "0 7 * * *"}
    first = await create(world, **given)
    await say(world, time_zone="Europe/Rome", address="hotel")
    assert await create(world, **given) == first
    assert await refused(create(world, **given | {"time_zone": "Europe/Rome"})) == (
        "ALREADY_EXISTS",
        "REQUEST_ID_REUSED",
        "",
    )


async def test_pages_hold_every_schedule_once(world: World) -> None:
    await say(world)
    made = [await create(world, **WEEKDAYS | {"request_id": f"r{number}"}) for number in range(5)]
    found: list[schedules_pb2.Schedule] = []
    token = ""
    while len(found) < 5 or token:
        page = await listed(world, page_size=2, page_token=token)
        assert len(page.schedules) <= 2
        found += page.schedules
        token = page.next_page_token
    assert found == made
    await say(world, user_id="telegram:2")
    theirs = (await listed(world, page_size=1)).next_page_token
    for wrong in (listed(world, page_token="x"), listed(world, user_id="telegram:2", page_token=theirs)):
        assert await refused(wrong) == ("INVALID_ARGUMENT", "FIELD_INVALID", "page_token")


async def test_of_many_schedules_the_last_is_refused_until_one_is_deleted(world: World) -> None:
    await say(world)
    made = [await create(world, **WEEKDAYS | {"request_id": f"r{number}"}) for number in range(50)]
    one_more = WEEKDAYS | {"request_id": "one more"}
    assert await refused(create(world, **one_more)) == ("RESOURCE_EXHAUSTED", "TOO_MANY_SCHEDULES", "")
    assert await create(world, **WEEKDAYS | {"request_id": "r0"}) == made[0]
    await delete(world, made[0].id)
    await create(world, **one_more)


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (WEEKDAYS | fields).items() if value is not None}


PAST, FAR = Timestamp(seconds=1), Timestamp(seconds=10**10)
REFUSED = {
    "nobody": (changed(user_id="telegram:nobody"), "NOT_FOUND", "PERSON_NOT_FOUND", ""),
    "another channel": (changed(user_id="whatsapp:1"), "PERMISSION_DENIED", "CHANNEL_MISMATCH", ""),
    "no request id": (changed(request_id=""), "INVALID_ARGUMENT", "FIELD_REQUIRED", "request_id"),
    "long request id": (changed(request_id="x" * 101), "INVALID_ARGUMENT", "FIELD_INVALID", "request_id"),
    "no kind": (changed(kind=None), "INVALID_ARGUMENT", "FIELD_REQUIRED", "kind"),
    "unknown kind": (changed(kind=9), "INVALID_ARGUMENT", "FIELD_INVALID", "kind"),
    "no request": (changed(request=""), "INVALID_ARGUMENT", "FIELD_REQUIRED", "request"),
    "blank request": (changed(request=" \n"), "INVALID_ARGUMENT", "FIELD_REQUIRED", "request"),
    "NUL": (changed(request="a\0b"), "INVALID_ARGUMENT", "FIELD_INVALID", "request"),
    "long request": (changed(request="x" * 1001), "INVALID_ARGUMENT", "FIELD_INVALID", "request"),
    "very long request": (changed(request="x" * 4001), "INVALID_ARGUMENT", "FIELD_INVALID", "request"),
    "no time": (changed(cron=None), "INVALID_ARGUMENT", "FIELD_REQUIRED", "cron"),
    "no zone": (changed(time_zone=""), "INVALID_ARGUMENT", "FIELD_REQUIRED", "time_zone"),
    "unknown zone": (changed(time_zone="Mars/Base"), "INVALID_ARGUMENT", "FIELD_INVALID", "time_zone"),
    "a path as zone": (changed(time_zone="../../etc/passwd"), "INVALID_ARGUMENT", "FIELD_INVALID", "time_zone"),
    "bad cron": (changed(cron="99 * * * *"), "INVALID_ARGUMENT", "FIELD_INVALID", "cron"),
    "six fields": (changed(cron="0 0 8 * * 1"), "INVALID_ARGUMENT", "FIELD_INVALID", "cron"),
    "30 February": (changed(cron="0 8 30 2 *"), "INVALID_ARGUMENT", "FIELD_INVALID", "cron"),
    "every minute": (changed(cron="* * * * *"), "INVALID_ARGUMENT", "SCHEDULE_INVALID", "cron"),
    "past": (changed(cron=None, at=PAST), "INVALID_ARGUMENT", "SCHEDULE_INVALID", "at"),
    "far": (changed(cron=None, at=FAR), "INVALID_ARGUMENT", "SCHEDULE_INVALID", "at"),
    "no time at all": (changed(cron=None, at=Timestamp(seconds=10**15)), "INVALID_ARGUMENT", "FIELD_INVALID", "at"),
    "odd nanoseconds": (changed(cron=None, at=Timestamp(nanos=-1)), "INVALID_ARGUMENT", "FIELD_INVALID", "at"),
}


async def test_a_schedule_that_cannot_be_is_refused_by_its_field(world: World) -> None:
    await say(world)
    for name, (given, *expected) in REFUSED.items():
        assert await refused(create(world, **given)) == tuple(expected), name
    assert not (await listed(world)).schedules


async def test_no_other_person_and_no_other_channel_reaches_a_schedule(world: World) -> None:
    await say(world)
    await say(world, user_id="telegram:2")
    mine = await create(world, **WEEKDAYS)
    assert not (await listed(world, user_id="telegram:2")).schedules
    assert not (await delete(world, mine.id, user_id="telegram:2")).HasField("schedule")
    assert (await create(world, **WEEKDAYS | {"user_id": "telegram:2"})).id != mine.id
    assert await refused(delete(world, "")) == ("INVALID_ARGUMENT", "FIELD_REQUIRED", "schedule_id")
    for rpc, request in (
        ("ListSchedules", schedules_pb2.ListSchedulesRequest(**ANN)),
        ("DeleteSchedule", schedules_pb2.DeleteScheduleRequest(**ANN, schedule_id=mine.id)),
    ):
        call = getattr(world.stub, rpc)(request, metadata=bearer(WHATSAPP_TOKEN), timeout=20)
        assert (await refused(call))[:2] == ("PERMISSION_DENIED", "CHANNEL_MISMATCH")
    assert list((await listed(world)).schedules) == [mine]


async def test_an_operator_sees_when_and_not_what_and_deletes(world: World) -> None:
    await say(world)
    mine = await create(world, **WEEKDAYS)
    shown = await ctl(world, "schedules", "telegram:1")
    assert "Ada" not in shown.stdout
    (only,) = json.loads(shown.stdout)["schedules"]
    assert (only["id"], only["cron"], only["kind"]) == (mine.id, "30 8 * * 1-5", "SCHEDULE_KIND_REMIND")
    for was_there in (True, False):
        deleted = await ctl(world, "unschedule", "telegram:1", mine.id)
        assert json.loads(deleted.stdout).get("deleted", False) is was_there
    assert not (await listed(world)).schedules
