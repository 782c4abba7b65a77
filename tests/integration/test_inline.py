"""Another channel: a message and its answer in one call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import media_pb2, messages_pb2

from kernel_service import texts
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, WHATSAPP_TOKEN, bearer

if TYPE_CHECKING:
    from tests.integration.world import World


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status: Any = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "kernel.v1"
    return str(info.reason)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), reason_of(caught.value)


async def test_the_answer_comes_with_the_call(world: World) -> None:
    response = await world.tell("telegram:42", "hello", "m1")
    assert response.status == messages_pb2.MESSAGE_STATUS_COMPLETED
    assert not response.duplicate
    assert "hello" in response.replies[0].text
    assert response.replies[0].answers_message_id == "m1"
    assert response.usage.model_calls == 1
    assert response.turn_id


async def test_a_repeat_returns_the_same_and_asks_the_model_once(world: World) -> None:
    first = await world.tell("telegram:42", "hello", "m1")
    again = await world.tell("telegram:42", "hello", "m1")
    assert again.duplicate
    assert list(again.replies) == list(first.replies)
    assert again.turn_id == first.turn_id
    assert len(world.emulators.openai.requests) == 1


async def test_two_at_once_are_one(world: World) -> None:
    both = await asyncio.gather(*(world.tell("telegram:42", "hello", "m1") for _ in range(2)))
    assert sorted(response.duplicate for response in both) == [False, True]
    assert both[0].replies[0].id == both[1].replies[0].id


async def test_the_same_id_with_other_words_is_refused(world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    assert await refused(world.tell("telegram:42", "bye", "m1")) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "MESSAGE_ID_REUSED",
    )


async def test_the_same_bare_id_in_two_channels_is_two_people(world: World) -> None:
    await world.tell("telegram:42", "my name is Tele", "m1")
    await world.tell("whatsapp:42", "my name is What", "m1", WHATSAPP_TOKEN)
    telegram = await world.tell("telegram:42", "what is my name", "m2")
    whatsapp = await world.tell("whatsapp:42", "what is my name", "m2", WHATSAPP_TOKEN)
    assert telegram.replies[0].text == "Your name is Tele."
    assert whatsapp.replies[0].text == "Your name is What."


async def test_a_caller_who_gives_up_loses_nothing(world: World) -> None:
    hold = world.emulators.openai.hold()
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42", message_id="m1", payload=messages_pb2.Payload(text="hello")
    )
    call = world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN))
    await hold.reached.wait()
    call.cancel()
    hold.release()
    response = await world.tell("telegram:42", "hello", "m1")
    assert "hello" in response.replies[0].text
    assert len(world.emulators.openai.requests) == 1


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [
        ("", "USER_ID_RESERVED"),
        ("telegram:", "USER_ID_RESERVED"),
        ("telegram:default", "USER_ID_RESERVED"),
        ("telegram:default_user", "USER_ID_RESERVED"),
        ("telegram:a,b", "USER_ID_INVALID"),
        ("telegram:a\x00b", "USER_ID_INVALID"),
        ("telegram: a", "USER_ID_INVALID"),
        ("telegram:" + "x" * 200, "USER_ID_INVALID"),
        ("42", "USER_ID_INVALID"),
    ],
)
async def test_user_ids_that_would_be_shared_or_broken(world: World, user_id: str, reason: str) -> None:
    assert await refused(world.tell(user_id, "hello", "m1")) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert await world.kernel.store.inbox.due_people(now=1e12, limit=10) == []


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"),
        (bearer("nobody's"), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
        ((("authorization", TELEGRAM_TOKEN),), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
        (bearer(WHATSAPP_TOKEN), grpc.StatusCode.PERMISSION_DENIED, "CHANNEL_MISMATCH"),
        (bearer(ADMIN_TOKEN), grpc.StatusCode.PERMISSION_DENIED, "CHANNEL_MISMATCH"),
    ],
)
async def test_tokens(world: World, metadata: Any, code: grpc.StatusCode, reason: str) -> None:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42", message_id="m1", payload=messages_pb2.Payload(text="hello")
    )
    assert await refused(world.stub.HandleMessage(request, metadata=metadata)) == (code, reason)
    assert await world.kernel.store.people.last_person_of("telegram:42") is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"message_id": "m1"}, "FIELD_REQUIRED"),
        ({"payload": {"text": "hello"}}, "FIELD_REQUIRED"),
        ({"message_id": "m1", "payload": {"text": ""}}, "FIELD_REQUIRED"),
        ({"message_id": "m\0", "payload": {"text": "hello"}}, "FIELD_INVALID"),
        ({"message_id": "m1", "address": "a\0", "payload": {"text": "hello"}}, "FIELD_INVALID"),
        ({"message_id": "m" * 257, "payload": {"text": "hello"}}, "FIELD_INVALID"),
        ({"message_id": "m1", "payload": {"text": "x" * 65_537}}, "PAYLOAD_TOO_LARGE"),
        ({"message_id": "m1", "payload": {"image": {"mime_type": "image/png"}}}, "FIELD_REQUIRED"),
        ({"message_id": "m1", "payload": {"text": "hello"}, "reply_mode": 9}, "FIELD_INVALID"),
    ],
)
async def test_malformed_messages(world: World, request_: dict[str, Any], reason: str) -> None:
    request = messages_pb2.HandleMessageRequest(user_id="telegram:42", **request_)
    call = world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN))
    assert await refused(call) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_an_overlong_field_is_refused_with_its_name_and_limit(world: World) -> None:
    choice = messages_pb2.Choice(id="x" * 1025, title="Yes")
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42", message_id="m1", payload=messages_pb2.Payload(choice=choice)
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    told = error_details_pb2.BadRequest()
    status: Any = rpc_status.from_call(caught.value)
    assert any(detail.Unpack(told) for detail in status.details)
    assert [(each.field, "1024" in each.description) for each in told.field_violations] == [("payload.choice.id", True)]


async def test_a_card_that_is_too_long_to_read_is_cut_and_answered(world: World) -> None:
    cards = [messages_pb2.Contact(name="N" * 100_000, phones=["1" * 1000] * 100) for _ in range(20)]
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id="m1",
        payload=messages_pb2.Payload(contacts=messages_pb2.Contacts(contacts=cards)),
    )
    response = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=60)
    assert response.status == messages_pb2.MESSAGE_STATUS_COMPLETED
    assert "N" * 257 not in str(world.emulators.openai.requests[-1].body)


async def test_a_video_is_answered_honestly_without_the_model(world: World) -> None:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id="m1",
        payload=messages_pb2.Payload(video=media_pb2.Media(mime_type="video/mp4", media_ref="x")),
    )
    response = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)
    assert response.replies[0].text == texts.attachments.unsupported("video")
    assert world.emulators.openai.requests == []
