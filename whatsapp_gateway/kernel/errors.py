"""What a refusal of the kernel service means: bring it again, or set it aside."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import errors_pb2


class KernelCallError(Exception):
    """The kernel service did not take it; reason is an ErrorReason, else the name of the gRPC status.

    final: to call again would not help.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = not _is_retryable(reason)


def _is_retryable(reason: str) -> bool:
    """As the contract's descriptor says."""
    value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{reason}")
    return value is None or bool(value.GetOptions().Extensions[errors_pb2.retryable])


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
