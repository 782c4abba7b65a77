"""KernelAdminService: what is running, and why a message was not answered. Only the export of a person shows the
content of messages.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from kernel.v1 import admin_pb2, admin_pb2_grpc

from kernel_service.api import connections, converters, exporting, nodes, schedules, usage, views
from kernel_service.api.pages import Page
from kernel_service.api.peers import is_forwarded
from kernel_service.api.resident_kernels import ResidentKernels
from kernel_service.api.shared_keys import check_all_have_the_key
from kernel_service.errors import CallerError, NodeUnavailable, NotFound, within
from kernel_service.kernels.kernel import EvictionReason
from kernel_service.people.identity import check_user_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import grpc

    from kernel_service.api.peers import Peers
    from kernel_service.cluster.key_rotation import KeyRotation
    from kernel_service.cluster.placement import Placement
    from kernel_service.connections.accounts import Connections
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.people.deletion import Deleted, Deletion
    from kernel_service.people.exporting import PersonExport
    from kernel_service.people.people import People
    from kernel_service.ports.admin import AdminStores
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.kernels import KernelLease
    from kernel_service.ports.keys import KeyUse

    Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(admin_pb2_grpc.KernelAdminServiceServicer):
    def __init__(  # noqa: PLR0917 - one argument per part behind it
        self,
        kernels: KernelMap,
        placement: Placement,
        store: AdminStores,
        people: People,
        deletion: Deletion,
        export: PersonExport,
        connections_: Connections,
        key_rotation: KeyRotation,
        cluster: Cluster,
        peers: Peers,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._peers = peers
        self._resident = ResidentKernels(kernels, peers, cluster.me)
        self._kernels = kernels
        self._placement = placement
        self._store = store
        self._people = people
        self._deletion = deletion
        self._export = export
        self._connections = connections_
        self._key_rotation = key_rotation
        self._clock = clock

    # --- nodes --------------------------------------------------------------------------------------------------

    async def ListNodes(self, request: admin_pb2.ListNodesRequest, context: Context) -> admin_pb2.ListNodesResponse:
        page = Page(request.page_size, request.page_token, "nodes")
        shown, next_page_token = page.of(self._cluster.nodes, key=lambda node: node.id)
        counts = await self._resident.counts()
        return admin_pb2.ListNodesResponse(
            nodes=[nodes.node(each, self._cluster, counts.get(each.id)) for each in shown],
            next_page_token=next_page_token,
            node_id=self._cluster.me,
        )

    # --- kernels ------------------------------------------------------------------------------------------------

    async def GetKernel(self, request: admin_pb2.GetKernelRequest, context: Context) -> admin_pb2.GetKernelResponse:
        person_id = await self._person(request.person)
        lease = await self._lease(person_id)
        unanswered = []
        if self._is_elsewhere(lease, context):
            try:
                return cast("admin_pb2.GetKernelResponse", await self._peers.call(lease.owner, "GetKernel", request))
            except NodeUnavailable:
                unanswered.append(lease.owner)
        kernel = self._resident.of(person_id, lease)
        session = await self._store.sessions.of_person(person_id)
        kernel.tool_session_id = session[0] if session else ""
        kernel.connections.extend(map(connections.connection, await self._connections.list(person_id)))
        kernel.channels.extend(await self._store.people.channels_of(person_id))
        kernel.kept_apart_from.extend(await self._people.kept_apart_from(person_id))
        return admin_pb2.GetKernelResponse(kernel=kernel, unanswered_nodes=unanswered)

    async def ListKernels(
        self, request: admin_pb2.ListKernelsRequest, context: Context
    ) -> admin_pb2.ListKernelsResponse:
        if is_forwarded(context, self._cluster.me):
            return self._resident.here(request)
        return await self._resident.everywhere(request)

    async def EvictKernel(
        self, request: admin_pb2.EvictKernelRequest, context: Context
    ) -> admin_pb2.EvictKernelResponse:
        person_id = await self._person(request.person)
        lease = await self._lease(person_id)
        if self._is_elsewhere(lease, context):
            await self._peers.call(lease.owner, "EvictKernel", request)
        else:
            await self._kernels.evict(person_id, EvictionReason.OPERATOR)
        return admin_pb2.EvictKernelResponse()

    async def _lease(self, person_id: str) -> KernelLease:
        """The person's lease, without its owner if that node is dead."""
        lease = await self._store.kernels.lease(person_id)
        return lease if self._cluster.is_alive(lease.owner) else replace(lease, owner="")

    def _is_elsewhere(self, lease: KernelLease, context: Context) -> bool:
        """Whether another node answers this call. The owner may change meanwhile: a forwarded call ends here."""
        return lease.owner not in {"", self._cluster.me} and not is_forwarded(context, self._cluster.me)

    async def ResetContext(
        self, request: admin_pb2.ResetContextRequest, context: Context
    ) -> admin_pb2.ResetContextResponse:
        await self._kernels.reset(await self._person(request.person))
        return admin_pb2.ResetContextResponse()

    # --- schedules ----------------------------------------------------------------------------------------------

    async def ListPersonSchedules(
        self, request: admin_pb2.ListPersonSchedulesRequest, context: Context
    ) -> admin_pb2.ListPersonSchedulesResponse:
        person_id, now = await self._person(request.person), self._clock()
        page = Page(request.page_size, request.page_token, "schedules", person_id)
        shown, next_page_token = await schedules.page_of(self._store.schedules, person_id, page)
        return admin_pb2.ListPersonSchedulesResponse(
            schedules=[schedules.schedule(each, now=now, with_request=False) for each in shown],
            next_page_token=next_page_token,
        )

    async def DeletePersonSchedule(
        self, request: admin_pb2.DeletePersonScheduleRequest, context: Context
    ) -> admin_pb2.DeletePersonScheduleResponse:
        schedule_id = converters.plain(converters.required(request.schedule_id, "schedule_id"), "schedule_id")
        deleted = await self._store.schedules.delete(await self._person(request.person), schedule_id, now=self._clock())
        return admin_pb2.DeletePersonScheduleResponse(deleted=deleted is not None)

    # --- identities ---------------------------------------------------------------------------------------------

    async def MergePersons(
        self, request: admin_pb2.MergePersonsRequest, context: Context
    ) -> admin_pb2.MergePersonsResponse:
        first = await self._person(request.first, "first")
        second = await self._person(request.second, "second")
        return admin_pb2.MergePersonsResponse(person_id=await self._people.merge(first, second))

    async def DeletePerson(
        self, request: admin_pb2.DeletePersonRequest, context: Context
    ) -> admin_pb2.DeletePersonResponse:
        # Another call may have begun, whose rest this one deletes: then only the person id finds the person.
        person = request.person
        person_id = person.person_id if person.WhichOneof("ref") == "person_id" else await self._person(person)
        return _deleted(await self._deletion.delete(person_id))

    # --- why was this message not answered? ---------------------------------------------------------------------

    async def ListTurns(self, request: admin_pb2.ListTurnsRequest, context: Context) -> admin_pb2.ListTurnsResponse:
        person_id = await self._person(request.person)
        page = Page(request.page_size, request.page_token, "turns", person_id)
        turns, pending, last = await self._store.admin.turns(person_id, limit=page.size, before=page.after)
        waiting = [] if page.after else pending
        return admin_pb2.ListTurnsResponse(
            turns=[views.turn(each) for each in turns],
            pending=[
                admin_pb2.PendingMessage(message_id=str(seq), accepted_at=converters.timestamp(at))
                for seq, at in waiting
            ],
            next_page_token=page.next_token(last),
        )

    async def ListReplies(
        self, request: admin_pb2.ListRepliesRequest, context: Context
    ) -> admin_pb2.ListRepliesResponse:
        person_id = await self._person(request.person)
        page = Page(request.page_size, request.page_token, "replies", person_id)
        replies, last = await self._store.admin.replies(person_id, limit=page.size, before=page.after)
        return admin_pb2.ListRepliesResponse(
            replies=[views.reply(each) for each in replies], next_page_token=page.next_token(last)
        )

    # --- dead letters -------------------------------------------------------------------------------------------

    async def ListDeadLetters(
        self, request: admin_pb2.ListDeadLettersRequest, context: Context
    ) -> admin_pb2.ListDeadLettersResponse:
        person_id = await self._person(request.person) if request.HasField("person") else None
        page = Page(request.page_size, request.page_token, "dead_letters", person_id or "")
        found, last = await self._store.admin.dead_letters(person_id, limit=page.size, before=page.after)
        return admin_pb2.ListDeadLettersResponse(
            dead_letters=[views.dead_letter(each) for each in found], next_page_token=page.next_token(last)
        )

    async def RequeueDeadLetter(
        self, request: admin_pb2.RequeueDeadLetterRequest, context: Context
    ) -> admin_pb2.RequeueDeadLetterResponse:
        dead_letter_id = converters.required(request.dead_letter_id, "dead_letter_id")
        self._placement.wake(await self._store.admin.requeue(dead_letter_id, now=self._clock()))
        return admin_pb2.RequeueDeadLetterResponse()

    # --- usage --------------------------------------------------------------------------------------------------

    async def GetUsage(self, request: admin_pb2.GetUsageRequest, context: Context) -> admin_pb2.GetUsageResponse:
        first, last = usage.days(request, self._clock())
        person_id = await self._person(request.person) if request.HasField("person") else None
        spent = await self._store.spending.by_day(person_id, first=first, last=last)
        return admin_pb2.GetUsageResponse(days=[usage.daily(each) for each in spent])

    # --- personal data ------------------------------------------------------------------------------------------

    async def ExportPerson(
        self, request: admin_pb2.ExportPersonRequest, context: Context
    ) -> AsyncIterator[admin_pb2.ExportPersonResponse]:
        person_id = await self._person(request.person)
        async with aclosing(self._export.of(person_id)) as records:
            async for each in records:
                for response in exporting.responses(each, now=self._clock()):
                    yield response

    # --- keys ---------------------------------------------------------------------------------------------------

    async def ListKeys(self, request: admin_pb2.ListKeysRequest, context: Context) -> admin_pb2.ListKeysResponse:
        page = Page(request.page_size, request.page_token, "keys")
        keys, unbound = await self._store.keys.use()
        places = {use.key_id: f"{place:06}" for place, use in enumerate(keys)}
        shown, next_page_token = page.of(keys, key=lambda use: places[use.key_id])
        return admin_pb2.ListKeysResponse(
            keys=map(_key, shown), unbound_persons=unbound, next_page_token=next_page_token
        )

    async def RotateKeys(
        self, request: admin_pb2.RotateKeysRequest, context: Context
    ) -> AsyncIterator[admin_pb2.RotateKeysResponse]:
        await check_all_have_the_key(self._store.keys, self._peers)
        async with aclosing(self._key_rotation.rotate()) as rotating:
            async for done in rotating:
                yield admin_pb2.RotateKeysResponse(
                    keys=done.keys, values=done.values, persons=done.people, unreadable=done.unreadable
                )

    async def _person(self, person: admin_pb2.PersonRef, field: str = "person") -> str:
        ref = person.WhichOneof("ref")
        if ref is None:
            raise CallerError("FIELD_REQUIRED", f"name the `{field}` by person_id or user_id", field=field)
        if ref == "person_id":
            return await self._people.surviving(person.person_id)
        with within(field):
            check_user_id(person.user_id, person.user_id.partition(":")[0])
        person_id = await self._store.people.last_person_of(person.user_id)
        if person_id is None:
            raise NotFound("PERSON_NOT_FOUND", "no person has written under this user id")
        return person_id


def _deleted(deleted: Deleted) -> admin_pb2.DeletePersonResponse:
    rows = deleted.rows
    return admin_pb2.DeletePersonResponse(
        person_id=deleted.person_id,
        messages=rows["message"],
        replies=rows["reply"],
        history_items=rows["item"],
        files=rows["media"],
        facts=rows["fact"],
        schedules=rows["schedule"],
        connections=rows["connection"],
        rows=rows.total(),
        revocations=deleted.revocations,
    )


def _key(use: KeyUse) -> admin_pb2.MasterKey:
    return admin_pb2.MasterKey(
        key_id=use.key_id,
        current=use.current,
        configured=use.configured,
        persons=use.people,
        secrets=use.secrets,
        awaiting_ids=use.awaiting,
        removable=use.removable,
    )
