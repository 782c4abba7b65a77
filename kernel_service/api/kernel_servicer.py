"""KernelService: each handler validates, converts, calls the domain, and converts the result."""

from __future__ import annotations

import time
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from kernel.v1 import (
    channel_pb2,
    connections_pb2,
    identity_pb2,
    kernel_pb2_grpc,
    media_pb2,
    memory_pb2,
    messages_pb2,
    outbox_pb2,
    schedules_pb2,
)

from kernel_service.api import connections, converters, events, media, memory, outbox, schedules
from kernel_service.api.channel_stream import ChannelCalls
from kernel_service.api.channel_streams import ChannelStreams
from kernel_service.api.interceptors import caller
from kernel_service.api.pages import Page
from kernel_service.api.slices import Slices
from kernel_service.errors import CallerError, KernelError, NotAllowed, NotFound, Stalled, within
from kernel_service.outbox.outbox import LEASE_SECONDS
from kernel_service.people.identity import check_user_id
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.media import MediaWanted
from kernel_service.ports.messages import Answer
from kernel_service.ports.outbox import AckResult
from kernel_service.ports.tools import Person
from kernel_service.ports.typing import TypingItem
from kernel_service.rate_limits.current_tenant import as_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    import grpc

    from kernel_service.api.channel_admission import ChannelAdmission
    from kernel_service.connections.accounts import Connections
    from kernel_service.connections.links import ConnectLinks
    from kernel_service.inbox.inbox import Inbox
    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.outbox.invitations import Invitations
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.people.people import People
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.media import MediaAck
    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.messages import Alias, Message
    from kernel_service.ports.outbox import Lease, PartAck
    from kernel_service.ports.people import PeopleStore
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.traces import Traces

    Context = grpc.aio.ServicerContext[Any, Any]


class KernelServicer(kernel_pb2_grpc.KernelServiceServicer):
    def __init__(  # noqa: PLR0917 - one argument per service behind it
        self,
        inbox: Inbox,
        outbox: Outbox,
        invitations: Invitations,
        transfers: MediaTransfers,
        store: PeopleStore,
        people: People,
        connections_: Connections,
        connect_links: ConnectLinks,
        schedules_: ScheduleStore,
        memory_: MemoryStore,
        admission: ChannelAdmission,
        cluster: Cluster,
        traces: Traces,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._traces = traces
        self._clock = clock
        self._inbox = inbox
        self._transfers = transfers
        self._outbox = outbox
        self._invitations = invitations
        self._store = store
        self._people = people
        self._connections = connections_
        self._connect_links = connect_links
        self._schedules = schedules_
        self._memory = memory_
        self._slices = Slices()
        calls = ChannelCalls(
            {
                "handle_message": self.HandleMessage,
                "ack_outbox": self.AckOutbox,
                "report_receipts": self.ReportReceipts,
            },
            admission,
        )
        self._streams = ChannelStreams(cluster, calls, self._pulled)

    # --- messages and the outbox --------------------------------------------------------------------------------

    async def HandleMessage(
        self, request: messages_pb2.HandleMessageRequest, context: Context
    ) -> messages_pb2.HandleMessageResponse:
        check_user_id(request.user_id, caller.get())
        message, began = converters.message(request), time.monotonic()
        return self._handled(message, await self._inbox.handle(message), began)

    async def StreamMessage(
        self, request: messages_pb2.StreamMessageRequest, context: Context
    ) -> AsyncIterator[messages_pb2.StreamMessageResponse]:
        with within("message"):
            check_user_id(request.message.user_id, caller.get())
            message, began = converters.message(request.message), time.monotonic()
            async for event in self._inbox.stream(message):
                if isinstance(event, Answer):
                    completed = self._handled(message, event, began)
                    yield messages_pb2.StreamMessageResponse(completed=completed)
                else:
                    yield events.event(event)

    def _handled(self, message: Message, answer: Answer, began: float) -> messages_pb2.HandleMessageResponse:
        """The response to a call that came at `began`, by the monotonic clock."""
        trace_parent = self._traces.handled(message, answer, time.monotonic() - began)
        return converters.handled(answer, home=self._cluster.home_of(answer.person_id), trace_parent=trace_parent)

    def ServeChannel(
        self, request_iterator: AsyncIterator[channel_pb2.ServeChannelRequest], context: Context
    ) -> AsyncGenerator[channel_pb2.ServeChannelResponse]:
        return self._streams.responses(request_iterator, context)

    async def PullOutbox(
        self, request: outbox_pb2.PullOutboxRequest, context: Context
    ) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        pulled = self._pulled(request, context)
        # The first item may come much later: until then this confirms that the stream is served.
        await context.send_initial_metadata(())
        async with aclosing(pulled) as items:
            async for item in items:
                yield item

    def _pulled(
        self, request: outbox_pb2.PullOutboxRequest, _: Context
    ) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        """Raises `CallerError` before it leases."""
        instance = _instance(request.instance_id)
        channel = _own_channel(request.channel)
        credit = outbox.max_in_flight(request.max_in_flight)
        if not outbox.wants_replies(request.kinds):
            raise CallerError("FIELD_INVALID", "`kinds` must hold OUTBOX_ITEM_KIND_REPLY", field="kinds")
        transfers = self._transfers if outbox.wants_media(request.kinds) else None
        interval = outbox.typing_interval(request)
        return self._items(
            channel,
            self._outbox.pull(
                channel, list(request.addresses), credit, instance, transfers=transfers, typing_interval=interval
            ),
        )

    async def _items(
        self, channel: str, leased: AsyncIterator[tuple[Lease | MediaWanted | TypingItem, float]]
    ) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        async with aclosing(cast("AsyncGenerator[tuple[Lease | MediaWanted | TypingItem, float]]", leased)) as items:
            async for item, seconds in items:
                if isinstance(item, MediaWanted):
                    yield outbox_pb2.PullOutboxResponse(media_wanted=media.wanted(item))
                elif isinstance(item, TypingItem):
                    yield outbox_pb2.PullOutboxResponse(typing=outbox.typing(item))
                else:
                    waited = item.expires_at - seconds - item.reply.created_at
                    trace_parent = self._traces.leased(item, channel, waited)
                    yield outbox_pb2.PullOutboxResponse(reply=outbox.leased(item, seconds, trace_parent))

    async def AckOutbox(self, request: outbox_pb2.AckOutboxRequest, context: Context) -> outbox_pb2.AckOutboxResponse:
        outbox.check_count(len(request.acknowledgements), "acknowledgements")
        results = [outbox_pb2.ACK_RESULT_INVALID] * len(request.acknowledgements)
        parts: dict[int, PartAck] = {}
        files: dict[int, MediaAck] = {}
        for place, each in enumerate(request.acknowledgements):
            if (part := outbox.part_ack(each)) is not None:
                parts[place] = part
            elif (file := media.ack(each)) is not None:
                files[place] = file
        settled = chain(*await self._slices.each(caller.get(), list(parts.values()), self._outbox.settle))
        if files:
            settled = chain(settled, await self._settle_media(list(files.values())))
        for place, result in zip(chain(parts, files), settled, strict=True):
            results[place] = outbox.ACK_RESULTS[result]
        return outbox_pb2.AckOutboxResponse(results=results)

    async def _settle_media(self, acks: Sequence[MediaAck]) -> list[AckResult]:
        settled = list(chain(*await self._slices.each(caller.get(), acks, self._transfers.settle)))
        for ack, result in zip(acks, settled, strict=True):
            if result is AckResult.RECORDED:
                self._outbox.fetched(caller.get(), ack.media_id, ack.token)
        return settled

    async def UploadMedia(
        self, request_iterator: AsyncIterator[media_pb2.UploadMediaRequest], context: Context
    ) -> media_pb2.UploadMediaResponse:
        requests = aiter(request_iterator)
        try:
            offer = await media.header(requests)
            size = await self._transfers.take(caller.get(), offer, media.pieces(requests, offer))
        except KernelError as error:
            if not isinstance(error, Stalled):
                await media.drain(requests)
            raise
        self._outbox.fetched(caller.get(), offer.media_id, offer.token)
        return media_pb2.UploadMediaResponse(size_bytes=size)

    async def DownloadMedia(
        self, request: media_pb2.DownloadMediaRequest, context: Context
    ) -> AsyncIterator[media_pb2.DownloadMediaResponse]:
        media_id = converters.plain(converters.required(request.media_ref, "media_ref"), "media_ref")
        async for chunk in self._transfers.hand_out(caller.get(), media_id):
            for piece in media.in_pieces(chunk):
                yield media_pb2.DownloadMediaResponse(chunk=piece)

    async def ReleaseLeases(
        self, request: outbox_pb2.ReleaseLeasesRequest, context: Context
    ) -> outbox_pb2.ReleaseLeasesResponse:
        instance = _instance(request.instance_id)
        in_hand = [converters.plain(reply_id, "in_hand") for reply_id in request.in_hand]
        released = await self._outbox.release_leases(caller.get(), instance, in_hand)
        return outbox_pb2.ReleaseLeasesResponse(released=released)

    async def ExtendLeases(
        self, request: outbox_pb2.ExtendLeasesRequest, context: Context
    ) -> outbox_pb2.ExtendLeasesResponse:
        outbox.check_count(len(request.leases), "leases")
        leases = [outbox.held_lease(each) for each in request.leases]
        held = chain(*await self._slices.each(caller.get(), leases, self._outbox.extend))
        return outbox_pb2.ExtendLeasesResponse(
            results=[outbox.lease_state(is_held=is_held) for is_held in held],
            lease_for=converters.duration(LEASE_SECONDS),
        )

    async def ClaimInvitation(
        self, request: outbox_pb2.ClaimInvitationRequest, context: Context
    ) -> outbox_pb2.ClaimInvitationResponse:
        claimer = _instance(request.instance_id)
        reply_id = converters.plain(converters.required(request.reply_id, "reply_id"), "reply_id")
        if request.withdraw:
            await self._invitations.withdraw(caller.get(), reply_id, claimer, outbox.retry_after(request))
            return outbox_pb2.ClaimInvitationResponse()
        granted = await self._invitations.claim(caller.get(), reply_id, claimer)
        if granted is not None:
            return outbox_pb2.ClaimInvitationResponse(granted=True, reminder=granted.reminder)
        wait = await self._invitations.wait(caller.get(), reply_id)
        return outbox_pb2.ClaimInvitationResponse(retry_after=None if wait is None else converters.duration(wait))

    async def ReportReceipts(
        self, request: outbox_pb2.ReportReceiptsRequest, context: Context
    ) -> outbox_pb2.ReportReceiptsResponse:
        receipts = outbox.part_receipts(request.receipts)
        recorded = sum(await self._slices.each(caller.get(), receipts, self._outbox.receive))
        return outbox_pb2.ReportReceiptsResponse(recorded=recorded, unknown=len(request.receipts) - recorded)

    # --- identities ---------------------------------------------------------------------------------------------

    async def LinkIdentity(
        self, request: identity_pb2.LinkIdentityRequest, context: Context
    ) -> identity_pb2.LinkIdentityResponse:
        for field in ("previous", "current"):
            if not request.HasField(field):
                raise CallerError("FIELD_REQUIRED", f"`{field}` is required", field=field)
        previous, current = _alias(request.previous, "previous"), _alias(request.current, "current")
        outcome = await self._people.link(previous, current)
        return identity_pb2.LinkIdentityResponse(outcome=converters.link_outcome(outcome))

    # --- connections --------------------------------------------------------------------------------------------

    async def CreateConnectLink(
        self, request: connections_pb2.CreateConnectLinkRequest, context: Context
    ) -> connections_pb2.CreateConnectLinkResponse:
        toolkit = converters.required(request.toolkit, "toolkit")
        address = converters.plain(request.address, "address")
        person = Person(await self._person(request.user_id), caller.get(), address)
        with as_tenant(person.id):
            offer = await self._connect_links.link(person, toolkit, reusable=(ConnectAttemptState.OPEN,))
        return connections_pb2.CreateConnectLinkResponse(link=converters.link(offer.link), toolkit=toolkit)

    async def ListConnections(
        self, request: connections_pb2.ListConnectionsRequest, context: Context
    ) -> connections_pb2.ListConnectionsResponse:
        person_id = await self._person(request.user_id)
        page = Page(request.page_size, request.page_token, "connections", person_id)
        shown, next_page_token = page.of(await self._connections.list(person_id), key=connections.age)
        return connections_pb2.ListConnectionsResponse(
            connections=map(connections.connection, shown), next_page_token=next_page_token
        )

    async def Disconnect(
        self, request: connections_pb2.DisconnectRequest, context: Context
    ) -> connections_pb2.DisconnectResponse:
        if request.WhichOneof("target") is None:
            raise CallerError("FIELD_REQUIRED", "name a `connection_id` or a `toolkit`", field="target")
        person_id = await self._person(request.user_id)
        with as_tenant(person_id):
            removed = await self._connections.disconnect(
                person_id, connection_id=request.connection_id, toolkit=request.toolkit
            )
        return connections_pb2.DisconnectResponse(connections=[connections.connection(each) for each in removed])

    # --- schedules ----------------------------------------------------------------------------------------------

    async def CreateSchedule(
        self, request: schedules_pb2.CreateScheduleRequest, context: Context
    ) -> schedules_pb2.CreateScheduleResponse:
        request_id = converters.required(request.request_id, "request_id")
        new = schedules.new_schedule(request, caller.get())
        person_id, now = await self._person(request.user_id), self._clock()
        created = await self._schedules.create(person_id, new, request_id=request_id, now=now)
        return schedules_pb2.CreateScheduleResponse(schedule=schedules.schedule(created, now=now))

    async def ListSchedules(
        self, request: schedules_pb2.ListSchedulesRequest, context: Context
    ) -> schedules_pb2.ListSchedulesResponse:
        person_id, now = await self._person(request.user_id), self._clock()
        page = Page(request.page_size, request.page_token, "schedules", person_id)
        shown, next_page_token = await schedules.page_of(self._schedules, person_id, page)
        return schedules_pb2.ListSchedulesResponse(
            schedules=[schedules.schedule(each, now=now) for each in shown], next_page_token=next_page_token
        )

    async def DeleteSchedule(
        self, request: schedules_pb2.DeleteScheduleRequest, context: Context
    ) -> schedules_pb2.DeleteScheduleResponse:
        schedule_id = converters.plain(converters.required(request.schedule_id, "schedule_id"), "schedule_id")
        person_id, now = await self._person(request.user_id), self._clock()
        deleted = await self._schedules.delete(person_id, schedule_id, now=self._clock())
        return schedules_pb2.DeleteScheduleResponse(schedule=schedules.schedule(deleted, now=now) if deleted else None)

    # --- memory -------------------------------------------------------------------------------------------------

    async def GetMemory(self, request: memory_pb2.GetMemoryRequest, context: Context) -> memory_pb2.GetMemoryResponse:
        return memory.response(await self._memory.of_person(await self._person(request.user_id)))

    async def _person(self, user_id: str) -> str:
        check_user_id(user_id, caller.get())
        person_id = await self._store.person_of(user_id, now=self._clock())
        if person_id is None:
            raise NotFound(
                "PERSON_NOT_FOUND", "no person has this user id; a weak id matches only a person without a strong one"
            )
        return person_id


def _own_channel(channel: str) -> str:
    if converters.required(channel, "channel") != caller.get():
        raise NotAllowed("CHANNEL_MISMATCH", "`channel` is not the token's channel")
    return channel


def _alias(given: identity_pb2.Alias, field: str) -> Alias:
    with within(field):
        check_user_id(given.user_id, caller.get())
        return converters.alias(given)


def _instance(instance_id: str) -> str:
    return converters.plain(converters.required(instance_id, "instance_id"), "instance_id")
