"""An error names the field at fault by its path, and gives a retry time if one is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from google.type import date_pb2
from grpc_status import rpc_status
from kernel.v1 import (
    admin_pb2,
    connections_pb2,
    identity_pb2,
    media_pb2,
    messages_pb2,
    outbox_pb2,
)

from kernel_service.api.interceptors import rich_status
from kernel_service.errors import Aborted, SealedValueDamaged, SealingKeyUnknown, VendorUnavailable
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from kernel_service.errors import KernelError
    from tests.integration.world import World

STRONG = identity_pb2.ALIAS_STRENGTH_STRONG
NONE: Any = 9
HELLO = messages_pb2.Payload(text="hello")
ANN = identity_pb2.Alias(user_id="telegram:1", strength=STRONG)
NOBODY = identity_pb2.Alias(user_id="telegram:", strength=STRONG)


@dataclass(frozen=True)
class Refused:
    rpc: str
    request: Any
    field: str
    reason: str


def said(field: str, reason: str, **fields: Any) -> Refused:
    given: dict[str, Any] = {"user_id": "telegram:1", "message_id": "m", "payload": HELLO} | fields
    return Refused("HandleMessage", messages_pb2.HandleMessageRequest(**given), field, reason)


def aliases(*given: identity_pb2.Alias) -> dict[str, Any]:
    return {"aliases": given}


REFUSED = (
    said("user_id", "USER_ID_RESERVED", user_id=""),
    said("user_id", "USER_ID_INVALID", user_id="telegram:a,b"),
    said("message_id", "FIELD_REQUIRED", message_id=""),
    said("payload", "FIELD_REQUIRED", payload=None),
    said("payload.text", "FIELD_REQUIRED", payload=messages_pb2.Payload(text="")),
    said("payload.image.mime_type", "FIELD_REQUIRED", payload=messages_pb2.Payload(image=media_pb2.Media())),
    said("reply_mode", "FIELD_INVALID", reply_mode=99),
    said("chat_link", "FIELD_INVALID", chat_link="https://wa.me/1"),
    said("aliases[1].user_id", "USER_ID_RESERVED", **aliases(ANN, NOBODY)),
    said("aliases[0].strength", "FIELD_REQUIRED", **aliases(identity_pb2.Alias(user_id="telegram:1"))),
    said(
        "aliases[1].strength", "FIELD_REQUIRED", **aliases(ANN, identity_pb2.Alias(user_id="telegram:2", strength=NONE))
    ),
    said(
        "aliases[0].scope",
        "FIELD_INVALID",
        **aliases(identity_pb2.Alias(user_id="telegram:1", strength=STRONG, scope="\0")),
    ),
    Refused("StreamMessage", messages_pb2.StreamMessageRequest(), "message.user_id", "USER_ID_RESERVED"),
    Refused(
        "StreamMessage",
        messages_pb2.StreamMessageRequest(
            message=messages_pb2.HandleMessageRequest(
                user_id="telegram:1", message_id="m", payload=HELLO, aliases=[ANN, NOBODY]
            )
        ),
        "message.aliases[1].user_id",
        "USER_ID_RESERVED",
    ),
    Refused("LinkIdentity", identity_pb2.LinkIdentityRequest(current=ANN), "previous", "FIELD_REQUIRED"),
    Refused(
        "LinkIdentity",
        identity_pb2.LinkIdentityRequest(previous=ANN, current=NOBODY),
        "current.user_id",
        "USER_ID_RESERVED",
    ),
    Refused(
        "LinkIdentity",
        identity_pb2.LinkIdentityRequest(previous=identity_pb2.Alias(user_id="telegram:1"), current=ANN),
        "previous.strength",
        "FIELD_REQUIRED",
    ),
    Refused("PullOutbox", outbox_pb2.PullOutboxRequest(channel="telegram"), "instance_id", "FIELD_REQUIRED"),
    Refused("AckOutbox", outbox_pb2.AckOutboxRequest(), "acknowledgements", "FIELD_INVALID"),
    Refused("ClaimInvitation", outbox_pb2.ClaimInvitationRequest(reply_id="rp_1"), "instance_id", "FIELD_REQUIRED"),
    Refused("ClaimInvitation", outbox_pb2.ClaimInvitationRequest(instance_id="one"), "reply_id", "FIELD_REQUIRED"),
    Refused("ReportReceipts", outbox_pb2.ReportReceiptsRequest(), "receipts", "FIELD_INVALID"),
    Refused("DownloadMedia", media_pb2.DownloadMediaRequest(), "media_ref", "FIELD_REQUIRED"),
    Refused(
        "CreateConnectLink", connections_pb2.CreateConnectLinkRequest(user_id="telegram:1"), "toolkit", "FIELD_REQUIRED"
    ),
    Refused("Disconnect", connections_pb2.DisconnectRequest(user_id="telegram:1"), "target", "FIELD_REQUIRED"),
    Refused("GetKernel", admin_pb2.GetKernelRequest(), "person", "FIELD_REQUIRED"),
    Refused(
        "EvictKernel",
        admin_pb2.EvictKernelRequest(person=admin_pb2.PersonRef(user_id="default")),
        "person.user_id",
        "USER_ID_RESERVED",
    ),
    Refused("RequeueDeadLetter", admin_pb2.RequeueDeadLetterRequest(), "dead_letter_id", "FIELD_REQUIRED"),
    Refused("GetUsage", admin_pb2.GetUsageRequest(from_day=date_pb2.Date(year=2026)), "from_day", "FIELD_INVALID"),
)


async def test_an_error_names_the_field_by_its_path(world: World) -> None:
    answers = [await answer_to(world, each) for each in REFUSED]
    assert answers == [(each.field, each.reason) for each in REFUSED]


async def answer_to(world: World, refused: Refused) -> tuple[str, str]:
    is_admin = hasattr(world.admin, refused.rpc)
    call = getattr(world.admin if is_admin else world.stub, refused.rpc)(
        refused.request, metadata=bearer(ADMIN_TOKEN if is_admin else TELEGRAM_TOKEN), timeout=20
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (anext(aiter(call)) if isinstance(call, grpc.aio.UnaryStreamCall) else call)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status: Any = rpc_status.from_call(caught.value)
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    (violation,) = bad.field_violations
    assert violation.description
    return str(violation.field), str(info.reason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Aborted("KERNEL_BUSY", "in a turn"), grpc.StatusCode.ABORTED),
        (SealedValueDamaged("it does not open"), grpc.StatusCode.DATA_LOSS),
        (SealingKeyUnknown("no such key"), grpc.StatusCode.INTERNAL),
    ],
)
def test_a_temporary_state_is_not_a_failed_precondition(error: KernelError, code: grpc.StatusCode) -> None:
    assert rich_status(error).code == code.value[0]


def test_the_delay_that_a_vendor_named_is_passed_on() -> None:
    delay = error_details_pb2.RetryInfo()
    assert rich_status(VendorUnavailable("tools_unavailable", 7.5)).details[1].Unpack(delay)
    assert delay.retry_delay.ToMilliseconds() == 7500
