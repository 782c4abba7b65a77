"""Files that tools make, to the phone and to a caller who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from kernel.v1 import kernel_pb2 as pb

from tests.integration.test_inline import refused
from tests.integration.tools import BILL, CHART
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path, kernel_tools="tests.integration.tools:TOOLS") as whole:
        yield whole


async def download(world: World, file: pb.Media, token: str = TELEGRAM_TOKEN) -> list[bytes]:
    call = world.stub.DownloadMedia(pb.DownloadMediaRequest(media_ref=file.media_ref), metadata=bearer(token))
    return [piece.chunk async for piece in call]


async def test_a_caller_who_waits_fetches_the_file(world: World) -> None:
    answer = await world.tell("telegram:7", "use make_papers", "m1")
    bill, archive = answer.replies[0].media
    assert (bill.mime_type, bill.filename, bill.size_bytes) == ("application/pdf", "bill.pdf", len(BILL))
    assert archive.mime_type == "application/zip"
    pieces = await download(world, bill)
    assert b"".join(pieces) == BILL
    assert max(map(len, pieces)) == 64 * 1024
    again = await world.tell("telegram:7", "use make_papers", "m1")
    assert (again.duplicate, list(again.replies[0].media)) == (True, [bill, archive])


async def test_nobody_else_fetches_it(world: World) -> None:
    answer = await world.tell("telegram:7", "use draw_chart", "m1")
    (chart,) = answer.replies[0].media
    assert b"".join(await download(world, chart)) == CHART
    not_found = (grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND")
    assert await refused(download(world, chart, WHATSAPP_TOKEN)) == not_found
    assert await refused(download(world, pb.Media(media_ref="m_1"))) == not_found
