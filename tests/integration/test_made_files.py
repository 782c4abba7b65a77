"""Files that tools create, sent to the phone and to an INLINE caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from kernel.v1 import media_pb2

from emulators.faults import matching
from emulators.whatsapp.errors import status_error
from kernel_service.storage.outbox import delivery
from tests.integration.test_inline import refused
from tests.integration.test_quotes import until_sent
from tests.integration.tools import BILL, CHART
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulators.whatsapp.chat import ChatMessage


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path, kernel_tools="tests.integration.tools:TOOLS") as whole:
        yield whole


async def download(world: World, file: media_pb2.Media, token: str = TELEGRAM_TOKEN) -> list[bytes]:
    call = world.stub.DownloadMedia(media_pb2.DownloadMediaRequest(media_ref=file.media_ref), metadata=bearer(token))
    return [piece.chunk async for piece in call]


async def test_a_picture_reaches_the_phone_with_the_answer(world: World) -> None:
    alice = world.phone("Alice")
    answer = await world.ask(alice, "use draw_chart")
    assert (answer.kind, received(world, answer)) == ("image", CHART)
    assert "The chart is drawn." in answer.text
    thanks = await world.ask(alice, "thank you")
    assert thanks.kind == "text"


async def test_papers_reach_the_phone_each_with_its_name(world: World) -> None:
    alice = world.phone("Alice")
    bill = await world.ask(alice, "use make_papers")
    assert bill.file
    assert (bill.kind, bill.file.name, received(world, bill)) == ("document", "bill.pdf", BILL)
    assert "(all.zip cannot be sent on WhatsApp.)" in bill.text


async def test_it_is_sent_once_the_kernel_service_is_back(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.whatsapp.media.faults.hold(matching(path="/media"))
    await alice.send("use draw_chart")
    await hold.reached.wait()
    await world.stop_kernel()
    await world.start_kernel()
    hold.release()
    answer = await alice.wait_for_message(timeout=20)
    assert received(world, answer) == CHART


async def test_a_reply_that_failed_later_for_its_file_is_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_backoff", lambda _: 0.0)
    alice = world.phone("Alice")
    statuses = world.emulators.whatsapp.statuses
    statuses.withhold()
    answer = await world.ask(alice, "use draw_chart")
    await until_sent(world, alice)
    await world.kernel.transfers.sweep()
    statuses._withheld.clear()  # a failed message has no `delivered` status
    statuses.release()
    statuses.report(alice, answer, "failed", status_error(131053, "Upload failed."))
    again = await alice.wait_for_message(timeout=20)
    assert (again.text, received(world, again)) == (answer.text, CHART)
    assert len(world.emulators.effects.all("media_uploaded")) == 2


def received(world: World, message: ChatMessage) -> bytes:
    assert message.file
    file = world.emulators.whatsapp.files.get(message.file.id)
    assert file
    return file.data


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


async def test_no_other_caller_fetches_the_file(world: World) -> None:
    answer = await world.tell("telegram:7", "use draw_chart", "m1")
    (chart,) = answer.replies[0].media
    assert b"".join(await download(world, chart)) == CHART
    not_found = (grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND")
    assert await refused(download(world, chart, WHATSAPP_TOKEN)) == not_found
    assert await refused(download(world, media_pb2.Media(media_ref="m_1"))) == not_found
