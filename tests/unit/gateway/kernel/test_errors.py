"""What a refusal means is read from the contract."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from whatsapp_gateway.kernel.errors import KernelCallError, refusal_of


@pytest.mark.parametrize("reason", ["USER_NOT_ALLOWED", "PAYLOAD_TOO_LARGE", "IDENTITY_CONFLICT"])
def test_what_the_contract_does_not_mark_as_retryable_is_final(reason: str) -> None:
    assert KernelCallError(reason).final


@pytest.mark.parametrize("reason", ["TOO_MANY_PENDING", "SEALED_VALUE_DAMAGED", "TOKEN_INVALID"])
def test_what_the_contract_marks_as_retryable_is_brought_again(reason: str) -> None:
    assert not KernelCallError(reason).final


@pytest.mark.parametrize("reason", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "", "A_REASON_OF_TOMORROW"])
def test_what_is_not_known_is_brought_again(reason: str) -> None:
    assert not KernelCallError(reason).final


def failed(*details: Message) -> AioRpcError:
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
    for detail in details:
        status.details.add().Pack(detail)
    trailing = Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, Metadata(), trailing, details="")


def test_a_refusal_bears_the_reason_and_the_delay_that_the_service_asked_for() -> None:
    delay = error_details_pb2.RetryInfo()
    delay.retry_delay.FromMilliseconds(1500)
    refusal = refusal_of(failed(error_details_pb2.ErrorInfo(reason="CHANNEL_BUSY", domain="kernel.v1"), delay))
    assert (refusal.reason, refusal.retry_after, refusal.final) == ("CHANNEL_BUSY", 1.5, False)


def test_a_reason_of_another_domain_is_none_of_the_contract_s() -> None:
    refusal = refusal_of(failed(error_details_pb2.ErrorInfo(reason="FIELD_INVALID", domain="proxy.example")))
    assert (refusal.reason, refusal.retry_after, refusal.final) == ("RESOURCE_EXHAUSTED", 0, False)
