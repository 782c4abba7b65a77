"""NUL, unpaired surrogates and other odd texts through every entry point: people's messages and browsers' requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from kernel.v1 import connections_pb2, media_pb2, messages_pb2
from yarl import URL

from tests.integration.files import VOICE, pdf
from tests.integration.world import TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.integration.world import World

ODD = "a\0b \u202e \ufffe \U0010ffff e\u0301" + "\u0301" * 500


async def say(world: World, message_id: str, **payload: object) -> list[str]:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id=message_id,
        payload=messages_pb2.Payload(**payload),  # type: ignore[arg-type]
    )
    answer = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=60)
    return [reply.text for reply in answer.replies]


async def test_odd_words_are_answered_and_quoted(world: World) -> None:
    assert "a\ufffdb" in (await say(world, "m1", text=ODD))[0]
    assert "\0" not in str(world.emulators.openai.requests[-1].body)
    choice = messages_pb2.Choice(id=ODD, title=ODD, description=ODD)
    assert await say(world, "m2", choice=choice)
    assert await say(world, "m3", text="and this?", quoted_message_id=ODD[:100])
    assert await say(world, "m4", location=messages_pb2.Location(name=ODD, address=ODD, latitude=1, longitude=2))
    assert "hello" in (await say(world, "m5", text="hello"))[0]


@pytest.mark.parametrize("mime_type", ["audio/ogg\0", "application/pdf\0", ODD, "\0"])
async def test_odd_names_and_types_of_files(world: World, mime_type: str) -> None:
    data = VOICE if "audio" in mime_type else pdf("Rent")
    media = media_pb2.Media(mime_type=mime_type, filename=f"{ODD}.pdf", data=data)
    assert await say(world, "m1", document=media, caption=ODD)
    assert await say(world, "m2", audio=media)
    assert "hello" in (await say(world, "m3", text="hello"))[0]


async def test_odd_toolkits_and_ids_are_refused_in_words(world: World) -> None:
    await say(world, "m1", text="hello")
    calls: list[Awaitable[Any]] = [
        world.stub.CreateConnectLink(
            connections_pb2.CreateConnectLinkRequest(user_id="telegram:42", toolkit=ODD),
            metadata=bearer(TELEGRAM_TOKEN),
        ),
        world.stub.Disconnect(
            connections_pb2.DisconnectRequest(user_id="telegram:42", connection_id=ODD), metadata=bearer(TELEGRAM_TOKEN)
        ),
        world.stub.DownloadMedia(media_pb2.DownloadMediaRequest(media_ref=ODD), metadata=bearer(TELEGRAM_TOKEN)).read(),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}


@pytest.mark.parametrize(
    "path",
    [
        "/connect/verify?session_uri=%00",
        "/connect/verify?session_uri=%ED%A0%80",
        "/connect/verify?session_uri=%FF%FE",
        f"/connect/verify?session_uri={'x' * 4000}",
        "/connect/%00",
        "/connect/%ED%A0%80",
        "/connect/return/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?connected_account_id=%00%ED%A0%80",
        "/connect/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?x=%00",
    ],
)
async def test_pages_that_are_asked_for_in_odd_words_answer(world: World, path: str) -> None:
    headers = {"Cookie": "connect_browser=\x80\xff"}
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "POST"):
            url = URL(f"{world.connect_url}{path}", encoded=True)
            async with session.request(method, url, headers=headers) as response:
                assert response.status < 500


@pytest.mark.parametrize("body", [b"\0", b"\xff", b"[" * 100_000, b'{"a": "\\ud83d"}', b"{" * 3])
async def test_events_in_odd_words_are_no_more_than_unsigned(world: World, body: bytes) -> None:
    url = f"{world.connect_url}/connect/events"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
        assert response.status == 401
