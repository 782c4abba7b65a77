"""Every RPC of the contract is documented and served."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.contract.wire.protos import Rpc, rpcs
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, World, bearer

RPCS = tuple(rpcs())
TOKENS = {"kernel.v1.KernelService": TELEGRAM_TOKEN, "kernel.v1.KernelAdminService": ADMIN_TOKEN}


async def answer_of(channel: grpc.aio.Channel, rpc: Rpc) -> tuple[str, str]:
    """Status and reason of a call without any field set."""
    shape = ("stream" if rpc.client_streams else "unary") + ("_stream" if rpc.server_streams else "_unary")
    call = getattr(channel, shape)(f"/{rpc.service}/{rpc.name}")
    try:
        async with asyncio.timeout(30):
            answer = call(_nothing() if rpc.client_streams else b"", metadata=bearer(TOKENS[rpc.service]))
            if rpc.server_streams:
                _ = [_ async for _ in answer]
            else:
                await answer
    except grpc.aio.AioRpcError as error:
        return error.code().name, _reason(error)
    return "OK", ""


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status.details[0].Unpack(info)
    return str(info.reason)


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_each_rpc_has_a_comment_that_begins_with_its_name(rpc: Rpc) -> None:
    assert rpc.comment.startswith(f"{rpc.name} ")


async def test_each_rpc_is_served(world: World) -> None:
    assert {rpc.service for rpc in RPCS} == set(TOKENS)
    answers = {rpc.name: await answer_of(world.channel, rpc) for rpc in RPCS}
    # No RPC accepts an empty request, except the lists of everything, and RPCs for the whole service.
    of_all = ("ListNodes", "ListKernels", "ListDeadLetters", "GetUsage", "ListKeys", "RotateKeys")
    assert {answers.pop(rpc) for rpc in of_all} == {("OK", "")}
    assert {status for status, _ in answers.values()} == {"INVALID_ARGUMENT"}
