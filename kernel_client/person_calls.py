"""Calls about one person who has written before: connections, schedules, memory, a change of their id."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import connections_pb2, identity_pb2, memory_pb2, messages_pb2, schedules_pb2

CALL_SECONDS: Final = 30.0


class PersonCalls(ABC):
    """`user_id` is `<channel>:<id>`, as in the person's messages. `timeout` is in seconds, repeats included."""

    @abstractmethod
    async def _call(self, name: str, request: Any, timeout: float) -> Any:
        """One call of the service by its name in the contract, repeated."""

    async def connect_link(
        self, user_id: str, toolkit: str, *, address: str = "", timeout: float = CALL_SECONDS
    ) -> messages_pb2.Link:
        """A link by which the person connects an account of a toolkit. It works for every holder: never log it."""
        request = connections_pb2.CreateConnectLinkRequest(user_id=user_id, toolkit=toolkit, address=address)
        answer: connections_pb2.CreateConnectLinkResponse = await self._call("CreateConnectLink", request, timeout)
        return answer.link

    async def connections(self, user_id: str, *, timeout: float = CALL_SECONDS) -> list[connections_pb2.Connection]:
        """The person's connections, oldest first."""
        request = connections_pb2.ListConnectionsRequest(user_id=user_id)
        return [found async for page in self._pages("ListConnections", request, timeout) for found in page.connections]

    async def disconnect(
        self, user_id: str, *, toolkit: str = "", connection_id: str = "", timeout: float = CALL_SECONDS
    ) -> list[connections_pb2.Connection]:
        """Remove one connection, or all of a toolkit, here and at the vendor. Returns the removed ones."""
        request = connections_pb2.DisconnectRequest(user_id=user_id)
        if connection_id:
            request.connection_id = connection_id
        else:
            request.toolkit = toolkit
        answer: connections_pb2.DisconnectResponse = await self._call("Disconnect", request, timeout)
        return list(answer.connections)

    async def schedule(
        self,
        user_id: str,
        request: str,
        *,
        is_reminder: bool,
        at: datetime | None = None,
        cron: str = "",
        time_zone: str = "",
        address: str = "",
        request_id: str = "",
        timeout: float = CALL_SECONDS,
    ) -> schedules_pb2.Schedule:
        """Schedule a request, once `at` a time, or again and again by five `cron` fields.

        A reminder is sent to the person as it is. Any other request is a task of the person's assistant. The replies
        come through the outbox. `time_zone` is that of `cron`, as `Europe/Berlin`; empty: the person's. The same
        `request_id` again returns the first schedule; empty: a new one.
        """
        wanted = schedules_pb2.CreateScheduleRequest(
            user_id=user_id,
            request_id=request_id or uuid4().hex,
            kind=schedules_pb2.SCHEDULE_KIND_REMIND if is_reminder else schedules_pb2.SCHEDULE_KIND_DO,
            request=request,
            time_zone=time_zone,
            address=address,
        )
        if at is not None:
            wanted.at.CopyFrom(_timestamp(at))
        if cron:
            wanted.cron = cron
        answer: schedules_pb2.CreateScheduleResponse = await self._call("CreateSchedule", wanted, timeout)
        return answer.schedule

    async def schedules(self, user_id: str, *, timeout: float = CALL_SECONDS) -> list[schedules_pb2.Schedule]:
        """The person's schedules, of every channel, oldest first."""
        request = schedules_pb2.ListSchedulesRequest(user_id=user_id)
        return [found async for page in self._pages("ListSchedules", request, timeout) for found in page.schedules]

    async def delete_schedule(
        self, user_id: str, schedule_id: str, *, timeout: float = CALL_SECONDS
    ) -> schedules_pb2.Schedule | None:
        """Delete a schedule. None: the person has none of this id, or no longer."""
        request = schedules_pb2.DeleteScheduleRequest(user_id=user_id, schedule_id=schedule_id)
        answer: schedules_pb2.DeleteScheduleResponse = await self._call("DeleteSchedule", request, timeout)
        return answer.schedule if answer.HasField("schedule") else None

    async def memory(self, user_id: str, *, timeout: float = CALL_SECONDS) -> memory_pb2.GetMemoryResponse:
        """The facts that are remembered about a person. They are for the person alone."""
        request = memory_pb2.GetMemoryRequest(user_id=user_id)
        answer: memory_pb2.GetMemoryResponse = await self._call("GetMemory", request, timeout)
        return answer

    async def link_identity(
        self, previous: identity_pb2.Alias, current: identity_pb2.Alias, *, timeout: float = CALL_SECONDS
    ) -> "identity_pb2.LinkOutcome.ValueType":
        """Report that a person's id in the channel changed. Returns the outcome."""
        request = identity_pb2.LinkIdentityRequest(previous=previous, current=current)
        answer: identity_pb2.LinkIdentityResponse = await self._call("LinkIdentity", request, timeout)
        return answer.outcome

    async def _pages(self, name: str, request: Any, timeout: float) -> AsyncIterator[Any]:
        """Every page of a list. Each has the whole time limit."""
        while True:
            page = await self._call(name, request, timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _timestamp(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise ValueError("`at` needs a time zone, as datetime.now(UTC) + timedelta(hours=1) has")
    timestamp = Timestamp()
    timestamp.FromDatetime(moment.astimezone(UTC))
    return timestamp
