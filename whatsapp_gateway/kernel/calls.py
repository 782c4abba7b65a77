"""Messages and reports of WhatsApp, as calls of the contract."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import grpc
from kernel.v1 import identity_pb2, media_pb2, outbox_pb2

from kernel_client.connection import KernelConnection
from kernel_client.errors import KernelError
from whatsapp_gateway.graph.media import MediaDownload
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.kernel.reports import receipt, set_failure
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.invitations import Invitation, NoInvitation
from whatsapp_gateway.model.outbox import DeliveryOutcome, MediaWanted
from whatsapp_gateway.model.updates import LinkResult
from whatsapp_gateway.traces import Traces


class KernelCalls:
    """Every call raises `KernelError` if the service rejects it; timeouts are in seconds.

    now is the monotonic clock of the leases. chat_url is the URL with which browsers open WhatsApp chats.
    """

    def __init__(
        self,
        kernel: KernelConnection,
        now: Callable[[], float],
        chat_url: str = "",
        traces: Traces | None = None,
    ) -> None:
        self._kernel = kernel
        self._now = now
        self._chat_url = chat_url
        self._traces = traces or Traces()

    async def accept(self, message: say.Message, timeout: float) -> bool:
        """Submit a message; it is durable after the return. Returns whether it was durable before."""
        began = self._now()
        answer = await self._kernel.handle(message_request(message, self._chat_url), timeout)
        if answer.trace_parent:
            self._traces.accepted(answer.trace_parent, self._now() - began)
        return answer.duplicate

    async def link(self, change: say.IdentityChange, timeout: float) -> LinkResult:
        """Report that a person's id became another one. Returns the result."""
        request = identity_pb2.LinkIdentityRequest(previous=alias(change.previous), current=alias(change.current))
        try:
            answer = await self._kernel.rpc("LinkIdentity", request, timeout)
        except KernelError as refusal:
            # A service without this RPC gives no reason. Retrying for days would not help.
            refusal.retryable &= refusal.reason != grpc.StatusCode.UNIMPLEMENTED.name
            raise
        return _LINKED.get(answer.outcome, LinkResult.UNKNOWN)

    async def report(self, statuses: Sequence[say.Status], timeout: float) -> None:
        """Report the network's statuses of sent parts, at most MOST_AT_ONCE."""
        await self._kernel.report([receipt(status) for status in statuses], timeout)

    async def claim_invitation(self, claimer: str, reply_id: str, timeout: float) -> Invitation | NoInvitation:
        """The right to send a template to the person who waits for a reply."""
        request = outbox_pb2.ClaimInvitationRequest(reply_id=reply_id, instance_id=claimer)
        try:
            answer = await self._kernel.rpc("ClaimInvitation", request, timeout)
        except KernelError as refusal:
            if refusal.reason == grpc.StatusCode.UNIMPLEMENTED.name:
                return Invitation(counted=False)
            raise
        if answer.granted:
            return Invitation(answer.reminder)
        return (
            NoInvitation(answer.retry_after.ToMilliseconds() / 1000)
            if answer.HasField("retry_after")
            else NoInvitation()
        )

    async def withdraw_invitation(
        self, claimer: str, reply_id: str, timeout: float, *, retry_after: float | None = None
    ) -> None:
        """The template that was granted to this claimer was not sent.

        retry_after: seconds after which the reply comes again, to any gateway; None: when the person writes.
        """
        request = outbox_pb2.ClaimInvitationRequest(reply_id=reply_id, instance_id=claimer, withdraw=True)
        if retry_after is not None:
            request.retry_after.FromSeconds(round(retry_after))
        await self._kernel.rpc("ClaimInvitation", request, timeout)

    async def upload(self, wanted: MediaWanted, place: MediaDownload, pieces: AsyncIterator[bytes]) -> None:
        """Stream a file's bytes. An exception of the pieces is raised here, and then nothing is stored."""
        header = media_pb2.UploadMediaHeader(
            media_id=wanted.media_id,
            lease_token=wanted.lease_token,
            mime_type=place.mime_type,
            size_bytes=place.size,
            sha256=place.sha256,
        )
        await self._kernel.upload(header, pieces)

    async def download(self, ref: str, timeout: float) -> bytes:
        """A reply's whole file."""
        return await self._kernel.download(ref, timeout)

    async def fail_media(
        self, wanted: MediaWanted, outcome: DeliveryOutcome, error_code: str, retry_after: float, timeout: float
    ) -> None:
        """Report that a file is unavailable for now (RETRY) or permanently (FAILED). retry_after 0: the service
        decides.
        """
        media = outbox_pb2.MediaAcknowledgement(media_id=wanted.media_id)
        set_failure(media, outcome, error_code, retry_after)
        await self._kernel.fail_media(outbox_pb2.Acknowledgement(lease_token=wanted.lease_token, media=media), timeout)


_LINKED: Final[dict[Any, LinkResult]] = {
    identity_pb2.LINK_OUTCOME_LINKED: LinkResult.LINKED,
    identity_pb2.LINK_OUTCOME_MERGED: LinkResult.MERGED,
    identity_pb2.LINK_OUTCOME_KEPT_APART: LinkResult.KEPT_APART,
}
