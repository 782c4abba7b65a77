"""The handling of an error follows the contract."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata
from kernel.v1 import errors_pb2

from kernel_client.errors import KernelError, error_of


@pytest.mark.parametrize("reason", ["USER_NOT_ALLOWED", "PAYLOAD_TOO_LARGE", "IDENTITY_CONFLICT"])
def test_a_reason_not_marked_as_retryable_is_final(reason: str) -> None:
    assert not KernelError(reason).retryable


@pytest.mark.parametrize("reason", ["TOO_MANY_PENDING", "SEALED_VALUE_DAMAGED", "TOKEN_INVALID"])
def test_a_reason_marked_as_retryable_is_retried(reason: str) -> None:
    assert KernelError(reason).retryable


@pytest.mark.parametrize("reason", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "", "A_REASON_OF_TOMORROW"])
def test_an_unknown_reason_is_retried(reason: str) -> None:
    assert KernelError(reason).retryable


def failed(*details: Message) -> AioRpcError:
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
    for detail in details:
        status.details.add().Pack(detail)
    trailing = Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, Metadata(), trailing, details="")


def test_an_error_has_the_services_reason_and_retry_delay() -> None:
    delay = error_details_pb2.RetryInfo()
    delay.retry_delay.FromMilliseconds(1500)
    refusal = error_of(failed(error_details_pb2.ErrorInfo(reason="CHANNEL_BUSY", domain="kernel.v1"), delay))
    assert (refusal.reason, refusal.retry_after, refusal.retryable) == ("CHANNEL_BUSY", 1.5, True)


def test_a_reason_of_another_domain_is_ignored() -> None:
    refusal = error_of(failed(error_details_pb2.ErrorInfo(reason="FIELD_INVALID", domain="proxy.example")))
    assert (refusal.reason, refusal.retry_after, refusal.retryable) == ("RESOURCE_EXHAUSTED", 0, True)


DAMAGED = b"\xff\xff\xff"


@pytest.mark.parametrize("of", ["ErrorInfo", "RetryInfo", "Nothing"])
def test_a_damaged_detail_leaves_the_status(of: str) -> None:
    detail = Any(type_url=f"type.googleapis.com/google.rpc.{of}", value=DAMAGED)
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], details=[detail])
    assert error_with(status.SerializeToString()).reason == "UNAVAILABLE"


@pytest.mark.parametrize("details", [DAMAGED, b""])
def test_damaged_details_leave_the_status(details: bytes) -> None:
    assert error_with(details).reason == "UNAVAILABLE"


def error_with(details: bytes) -> KernelError:
    trailing = Metadata(("grpc-status-details-bin", details))
    return error_of(AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), trailing, details=""))


@pytest.mark.parametrize("reason", errors_pb2.ErrorReason.keys()[1:])
def test_each_reason_has_advice(reason: str) -> None:
    told = KernelError(reason.removeprefix("ERROR_REASON_"), message="the sentence of the service")
    assert told.what_to_do in str(told)
    assert "read the log" not in told.what_to_do, "the advice on unknown reasons"
