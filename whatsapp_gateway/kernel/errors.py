"""What a refusal of the kernel service means: bring it again, or set it aside."""

from typing import Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# As errors.proto marks them; whatever is not named here is tried again, an unknown reason too.
FINAL_REASONS: Final = frozenset(
    {
        "CHANNEL_MISMATCH",
        "USER_NOT_ALLOWED",
        "USER_ID_INVALID",
        "USER_ID_RESERVED",
        "FIELD_REQUIRED",
        "FIELD_INVALID",
        "PAYLOAD_TOO_LARGE",
        "MESSAGE_ID_REUSED",
        "IDENTITY_CONFLICT",
        "PERSON_NOT_FOUND",
        "KERNEL_NOT_RESIDENT",
        "TOOLKIT_NOT_ALLOWED",
        "TOOLKIT_UNKNOWN",
        "CONNECTION_NOT_FOUND",
        "REPLY_NOT_FOUND",
        "SCHEDULE_NOT_FOUND",
        "MEDIA_NOT_FOUND",
        "DEAD_LETTER_NOT_FOUND",
        "NOT_IMPLEMENTED",
    }
)


class KernelCallError(Exception):
    """The kernel service did not take it; reason is an ErrorReason, else the name of the gRPC status."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = reason in FINAL_REASONS


def refusal_of(error: grpc.aio.AioRpcError) -> KernelCallError:
    """The refusal that a failed call means."""
    return KernelCallError(_reason(error) or error.code().name)


def _reason(error: grpc.aio.AioRpcError) -> str:
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return ""
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "kernel.v1":
            return str(info.reason)
    return ""
