"""What a refusal of the kernel service means: bring it again, or set it aside."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import errors_pb2


class KernelCallError(Exception):
    """The kernel service did not take it; reason is an ErrorReason, else the name of the gRPC status.

    final: to call again would not help. retry_after: seconds to wait at least before that; 0: as the caller sees fit.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.final = not _is_retryable(reason)


def _is_retryable(reason: str) -> bool:
    """As the contract's descriptor says."""
    value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{reason}")
    return value is None or bool(value.GetOptions().Extensions[errors_pb2.retryable])


def refusal_of(error: grpc.aio.AioRpcError) -> KernelCallError:
    """The refusal that a failed call means."""
    info, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in _details(error):
        _ = detail.Unpack(info) or detail.Unpack(delay)
    reason = str(info.reason) if info.domain == "kernel.v1" else ""
    return KernelCallError(reason or error.code().name, delay.retry_delay.ToNanoseconds() / 1e9)


def _details(error: grpc.aio.AioRpcError) -> Sequence[Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # it contradicts the call's own status
        return ()
    return status.details if status else ()
