"""Errors of the kernel service: the reason, whether a repeat may succeed, and what to do."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import channel_pb2, errors_pb2

from kernel_client.advice import advice_on

_CODES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class KernelError(Exception):
    """The kernel service did not do what was asked.

    reason is an ErrorReason of the contract without its prefix, else the name of the gRPC status.

    retryable: the same call may succeed later. The contract's own table says so.

    retry_after is the minimum wait in seconds before a repeat; 0: the caller decides.

    message is the sentence of the service for developers; it may be empty.
    """

    def __init__(self, reason: str, retry_after: float = 0.0, message: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.message = message
        self.retryable = _is_retryable(reason)

    @property
    def what_to_do(self) -> str:
        """One sentence for the developer or the operator of the channel."""
        return advice_on(self.reason)

    def __str__(self) -> str:
        told = f"{self.reason}: {self.message}" if self.message else self.reason
        return f"{told}. {self.what_to_do}"


def _is_retryable(reason: str) -> bool:
    """By the contract's descriptor."""
    value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{reason}")
    return value is None or bool(value.GetOptions().Extensions[errors_pb2.retryable])


def is_cancelled() -> bool:
    """Whether the current task is to end. If not, the library cancelled the call: a fault, or the client's end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def error_of(error: grpc.aio.AioRpcError) -> KernelError:
    """The error of a failed call."""
    info, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    with suppress(DecodeError):  # a proxy's, or damaged: the status alone counts
        for detail in _details(error):
            _ = detail.Unpack(info) or detail.Unpack(delay)
    reason = str(info.reason) if info.domain == "kernel.v1" else ""
    return KernelError(
        reason or error.code().name, delay.retry_delay.ToNanoseconds() / 1e9, (error.details() or "").rstrip(".")
    )


def error_in(error: channel_pb2.CallError) -> KernelError:
    """The error of a failed call of a stream."""
    return KernelError(
        error.reason or _CODES.get(error.code, "UNKNOWN"),
        error.retry_delay.ToNanoseconds() / 1e9,
        error.message.rstrip("."),
    )


def _details(error: grpc.aio.AioRpcError) -> Sequence[Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # it contradicts the call's own status
        return ()
    return status.details if status else ()
