"""Maps errors of the kernel service: retry the item, or quarantine it."""

from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import channel_pb2, errors_pb2

_CODES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class KernelCallError(Exception):
    """The kernel service did not accept the call. reason is an ErrorReason, else the name of the gRPC status.

    final: a retry would not help. retry_after: the minimum wait in seconds before a retry; 0: the caller decides.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.final = not _is_retryable(reason)


def _is_retryable(reason: str) -> bool:
    """By the contract's descriptor."""
    value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{reason}")
    return value is None or bool(value.GetOptions().Extensions[errors_pb2.retryable])


def refusal_of(error: grpc.aio.AioRpcError) -> KernelCallError:
    """The error of a failed call."""
    info, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in _details(error):
        _ = detail.Unpack(info) or detail.Unpack(delay)
    reason = str(info.reason) if info.domain == "kernel.v1" else ""
    return KernelCallError(reason or error.code().name, delay.retry_delay.ToNanoseconds() / 1e9)


def refusal_in(error: channel_pb2.CallError) -> KernelCallError:
    """The error of a failed call of a stream."""
    return KernelCallError(error.reason or _CODES.get(error.code, "UNKNOWN"), error.retry_delay.ToNanoseconds() / 1e9)


def _details(error: grpc.aio.AioRpcError) -> Sequence[Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # it contradicts the call's own status
        return ()
    return status.details if status else ()
