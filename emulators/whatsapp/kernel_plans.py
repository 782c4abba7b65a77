"""The schedules and facts of a person, asked from the kernel service as a channel may ask."""

from typing import Any

import grpc
from kernel.v1 import kernel_pb2_grpc, memory_pb2, schedules_pb2

_SECONDS = 5


class KernelPlans:
    """`token` is the gateway's; empty: there is nothing to show."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._asking: dict[str, Any] = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": _SECONDS}

    async def of(self, channel: grpc.aio.Channel, user_id: str) -> dict[str, Any]:
        """{schedules: [{id, kind, request, when, next, paused}], facts: [text]}. Raises AioRpcError."""
        if not self._token:
            return {"schedules": [], "facts": []}
        stub = kernel_pb2_grpc.KernelServiceStub(channel)
        schedules = await stub.ListSchedules(schedules_pb2.ListSchedulesRequest(user_id=user_id), **self._asking)
        memory = await stub.GetMemory(memory_pb2.GetMemoryRequest(user_id=user_id), **self._asking)
        facts = [_fact(each.label, each.text) for each in memory.facts]
        if memory.time_zone:
            facts.append(_fact("time zone", memory.time_zone))
        return {"schedules": [_schedule(each) for each in schedules.schedules], "facts": facts}


def _schedule(given: schedules_pb2.Schedule) -> dict[str, Any]:
    return {
        "id": given.id,
        "kind": schedules_pb2.ScheduleKind.Name(given.kind).removeprefix("SCHEDULE_KIND_").lower(),
        "request": given.request,
        "when": given.description,
        "next": given.next_due_at.ToNanoseconds() / 1e9 if given.HasField("next_due_at") else None,
        "paused": given.HasField("paused_at"),
    }


def _fact(label: str, text: str) -> str:
    return f"{label.capitalize()}: {text}" if label else text
