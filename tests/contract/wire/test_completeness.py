"""Every rpc of the contract is explained and served, or declared as one that comes later."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kernel_service.api import admin_servicer, kernel_servicer
from tests.contract.wire.protos import Rpc, rpcs
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, World, bearer

RPCS = tuple(rpcs())
LATER = {
    "kernel.v1.KernelService": kernel_servicer.DECLARED_LATER,
    "kernel.v1.KernelAdminService": admin_servicer.DECLARED_LATER,
}
TOKENS = {"kernel.v1.KernelService": TELEGRAM_TOKEN, "kernel.v1.KernelAdminService": ADMIN_TOKEN}
README = Path(__file__).parents[3] / "README.md"


def declared_later(rpc: Rpc) -> bool:
    return rpc.name in LATER[rpc.service]


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


def test_every_declared_rpc_is_of_the_contract() -> None:
    names = {service: {rpc.name for rpc in RPCS if rpc.service == service} for service in LATER}
    assert {rpc.service for rpc in RPCS} == set(LATER)
    assert all(names[service].issuperset(later) for service, later in LATER.items())


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_each_rpc_has_a_comment_that_begins_with_its_name(rpc: Rpc) -> None:
    assert rpc.comment.startswith(f"{rpc.name} ")


@pytest.mark.parametrize("rpc", [rpc for rpc in RPCS if declared_later(rpc)], ids=lambda rpc: rpc.name)
def test_the_readme_lists_each_rpc_that_comes_later(rpc: Rpc) -> None:
    assert f"`{rpc.name}`" in README.read_text()


async def test_each_rpc_is_served_or_answers_that_it_comes_later(world: World) -> None:
    later = ("UNIMPLEMENTED", "NOT_IMPLEMENTED")
    answers = {rpc: await answer_of(world.channel, rpc) for rpc in RPCS}
    assert {rpc.name for rpc, answer in answers.items() if answer == later} == set().union(*LATER.values())
    # What is served takes no empty request, but for the lists of all, and for what is about the whole service.
    served = {rpc.name: answer for rpc, answer in answers.items() if not declared_later(rpc)}
    of_all = ("ListKernels", "ListDeadLetters", "GetUsage", "ListKeys", "RotateKeys")
    assert {served.pop(rpc) for rpc in of_all} == {("OK", "")}
    assert {status for status, _ in served.values()} == {"INVALID_ARGUMENT"}
