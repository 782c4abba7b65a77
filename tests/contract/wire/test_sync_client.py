"""The generated synchronous client matches the descriptors: a scripted channel replaces the server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from kernel.v1 import admin_pb2, admin_pb2_grpc, kernel_pb2, kernel_pb2_grpc, messages_pb2, outbox_pb2

STUBS = {
    "KernelService": kernel_pb2_grpc.KernelServiceStub,
    "KernelAdminService": admin_pb2_grpc.KernelAdminServiceStub,
}
SERVICES = [
    kernel_pb2.DESCRIPTOR.services_by_name["KernelService"],
    admin_pb2.DESCRIPTOR.services_by_name["KernelAdminService"],
]
UNARY = [
    method
    for service in SERVICES
    for method in service.methods
    if not (method.client_streaming or method.server_streaming)
]
METADATA = (("authorization", "Bearer t"),)


@pytest.fixture
def channel() -> Any:
    return grpc_testing.channel(SERVICES, grpc_testing.strict_fake_time(0))


@pytest.mark.parametrize("method", UNARY, ids=lambda method: method.name)
def test_a_unary_call_reaches_its_method_and_returns_its_response(channel: Any, method: MethodDescriptor) -> None:
    stub = STUBS[method.containing_service.name](channel)
    request, response = GetMessageClass(method.input_type)(), GetMessageClass(method.output_type)()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(getattr(stub, method.name), request, metadata=METADATA)
        metadata, received, rpc = channel.take_unary_unary(method)
        rpc.terminate(response, (), grpc.StatusCode.OK, "")
        assert call.result(timeout=5) == response
    assert received == request
    assert set(METADATA) <= set(metadata)


def test_an_error_reaches_the_caller_with_its_status(channel: Any) -> None:
    stub = kernel_pb2_grpc.KernelServiceStub(channel)
    call = stub.HandleMessage.future(messages_pb2.HandleMessageRequest(user_id="default"), metadata=METADATA)
    *_, rpc = channel.take_unary_unary(SERVICES[0].methods_by_name["HandleMessage"])
    rpc.terminate(None, (), grpc.StatusCode.INVALID_ARGUMENT, "reserved")
    with pytest.raises(grpc.RpcError) as refused:
        call.result()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_pulled_items_arrive_in_order_until_the_stream_ends(channel: Any) -> None:
    pulled = kernel_pb2_grpc.KernelServiceStub(channel).PullOutbox(outbox_pb2.PullOutboxRequest(), metadata=METADATA)
    *_, rpc = channel.take_unary_stream(SERVICES[0].methods_by_name["PullOutbox"])
    for lease in ("l1", "l2"):
        delivery = outbox_pb2.ReplyDelivery(lease_token=lease)
        rpc.send_response(outbox_pb2.PullOutboxResponse(reply=delivery))
    rpc.terminate((), grpc.StatusCode.OK, "")
    assert [item.reply.lease_token for item in pulled] == ["l1", "l2"]
