"""The page's server side: its files, the stream of events, taps and texts, the state of the system."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest
from kernel.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    connections_pb2,
    kernel_pb2_grpc,
    memory_pb2,
    messages_pb2,
    schedules_pb2,
)

from emulators.app import Emulators
from emulators.config import Config
from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.page_routes import PAGE
from tests.emulators.whatsapp.fakes import Gateway, Graph


class Stream:
    """Reads server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self, kind: str) -> dict[str, Any]:
        """The data of the next event of this kind."""
        async with asyncio.timeout(30):
            while True:
                event = (await self._response.content.readuntil(b"\n\n")).decode().splitlines()
                if event[0] == f"event: {kind}":
                    data: dict[str, Any] = json.loads(event[1].removeprefix("data: "))
                    return data


@pytest.fixture
async def stream(graph: Graph, emulators: Emulators) -> AsyncIterator[Stream]:
    async with graph.session.get(f"{emulators.url}/phones/events") as response:
        assert response.content_type == "text/event-stream"
        yield Stream(response)


async def test_the_page_is_whole_and_loads_nothing_from_elsewhere(graph: Graph, emulators: Emulators) -> None:
    async with graph.session.get(emulators.whatsapp.page_url) as response:
        page = await response.text()
        assert response.status == 200
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    sources = "".join(file.read_text() for file in PAGE.iterdir())
    for name in re.findall(r'(?:/page/|from "\./)([\w.]+)', sources):
        async with graph.session.get(f"{emulators.url}/page/{name}") as response:
            assert response.status == 200, name
    assert "innerHTML" not in sources
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    async with graph.session.get(f"{emulators.url}/page/none.css") as response:
        assert response.status == 404


async def test_a_new_page_shows_alice_and_bob(stream: Stream, whatsapp: WhatsApp) -> None:
    snapshot = await stream.next("snapshot")
    assert [phone["label"] for phone in snapshot["phones"]] == ["Alice", "Bob"]
    assert [phone.label for phone in whatsapp.phones] == ["Alice", "Bob"]


async def test_events_are_streamed_and_a_reload_shows_the_same(
    graph: Graph, emulators: Emulators, stream: Stream
) -> None:
    alice, _ = (await stream.next("snapshot"))["phones"]
    url = f"{emulators.url}/phones/{alice['id']}/messages"
    async with graph.session.post(url, json={"text": " hi "}) as response:
        assert response.status == 202
    ticks = [(await stream.next("message"))["message"]["ticks"] for _ in range(2)]
    assert ticks == ["sent", "delivered"]
    await graph.text("hello", recipient=alice["id"], biz_opaque_callback_data="r/1/1")
    shown = await stream.next("message")
    assert (shown["phone"], shown["message"]["text"]) == (alice["id"], "hello")
    assert "callback" not in shown["message"]
    async with graph.session.get(f"{emulators.url}/phones/events") as again:
        messages = (await Stream(again).next("snapshot"))["phones"][0]["messages"]
    assert [(message["mine"], message["text"]) for message in messages] == [(True, "hi"), (False, "hello")]


async def test_opening_a_chat_reports_its_messages_as_read(
    graph: Graph, gateway: Gateway, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    await graph.text("hello", recipient=alice.user_id)
    async with graph.session.post(f"{emulators.url}/phones/{alice.user_id}/read", json={}) as response:
        assert response.status == 204
    await gateway.wait_until(lambda: "read" in {status["status"] for status in gateway.statuses()})


async def test_a_tap_on_the_page_answers(
    graph: Graph, gateway: Gateway, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    buttons = {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]}
    interactive = {"type": "button", "body": {"text": "Sure?"}, "action": buttons}
    offer = {"type": "interactive", "interactive": interactive}
    await graph.post({"messaging_product": "whatsapp", "recipient": alice.user_id} | offer)
    taps = f"{emulators.url}/phones/{alice.user_id}/taps"
    tap = {"message": alice.received[0].id, "choice": "y"}
    async with graph.session.post(taps, json=tap) as response:
        assert response.status == 202
    await gateway.wait_until(lambda: len(gateway.messages()) == 2)
    assert gateway.messages()[-1]["interactive"]["button_reply"]["id"] == "y"
    async with graph.session.post(taps, json=tap | {"choice": "n"}) as response:
        assert response.status == 400
    async with graph.session.post(taps, json=tap | {"message": "wamid.none"}) as response:
        assert response.status == 404


async def test_a_phone_is_added(graph: Graph, emulators: Emulators, stream: Stream) -> None:
    async with graph.session.post(f"{emulators.url}/phones", json={"label": "Carol"}) as response:
        assert response.status == 201
    assert (await stream.next("phone"))["label"] == "Carol"


@pytest.mark.parametrize("body", [{}, {"label": " "}, {"label": "x" * 41}, {"label": 7}, []])
async def test_a_nameless_phone_is_refused(graph: Graph, emulators: Emulators, body: Any) -> None:
    async with graph.session.post(f"{emulators.url}/phones", json=body) as response:
        assert response.status == 400
    async with graph.session.post(f"{emulators.url}/phones", data={"label": "Eve"}) as response:
        assert response.status == 415
    assert not len(emulators.whatsapp.phones)


async def test_a_closed_page_is_released_without_an_error(
    graph: Graph, emulators: Emulators, whatsapp: WhatsApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with graph.session.get(f"{emulators.url}/phones/events") as response:
        await Stream(response).next("snapshot")
        response.close()
    async with asyncio.timeout(30):
        while whatsapp._feed.watched.is_set():
            whatsapp.add_phone("Carol")
            await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_page_that_falls_behind_is_cut_off_and_starts_again() -> None:
    feed = Feed(limit=2)
    with feed.subscribe() as slow:
        for number in range(4):
            feed.publish("message", {"number": number})
        seen = [event.data["number"] async for event in slow.each(pause=1) if event]
    assert seen == [0, 1]
    assert not feed.watched.is_set()


class Admin(admin_pb2_grpc.KernelAdminServiceServicer):
    """An admin service that knows one person. It answers callers with the token `admin`."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.toolkits: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    async def _check(self, context: Any) -> None:
        if ("authorization", "Bearer admin") not in context.invocation_metadata():
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    async def ListKernels(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._check(context)
        return admin_pb2.ListKernelsResponse(total=1)

    async def GetKernel(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._check(context)
        self.meanwhile()
        if request.person.user_id != f"whatsapp:{self.user_id}":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nobody")
        connections = [
            connections_pb2.Connection(toolkit=toolkit, status=connections_pb2.CONNECTION_STATUS_ACTIVE)
            for toolkit in self.toolkits
        ]
        kernel = admin_pb2.Kernel(person_id="p_1", resident=True, history_items=3, connections=connections)
        return admin_pb2.GetKernelResponse(kernel=kernel)

    async def ListTurns(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._check(context)
        turn = admin_pb2.Turn(id="t_1", usage=messages_pb2.Usage(input_tokens=70, output_tokens=7))
        turn.not_before.FromSeconds(1_800_000_000)
        return admin_pb2.ListTurnsResponse(turns=[turn], pending=[admin_pb2.PendingMessage(message_id="1")])

    async def ListReplies(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._check(context)
        states = (admin_pb2.REPLY_STATE_LEASED, admin_pb2.REPLY_STATE_SENT, admin_pb2.REPLY_STATE_HELD)
        return admin_pb2.ListRepliesResponse(replies=[admin_pb2.ReplyRecord(id="r", state=state) for state in states])


class Channel(kernel_pb2_grpc.KernelServiceServicer):
    """A kernel service that keeps a reminder and two facts for everybody."""

    async def ListSchedules(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind = schedules_pb2.SCHEDULE_KIND_REMIND
        reminder = schedules_pb2.Schedule(id="s_1", kind=kind, request="call Ada", description="Tomorrow, at 09:00")
        reminder.next_due_at.FromSeconds(1_800_000_000)
        paused = schedules_pb2.Schedule(id="s_2", kind=schedules_pb2.SCHEDULE_KIND_DO, request="sum up my mails")
        paused.paused_at.FromSeconds(1_800_000_000)
        return schedules_pb2.ListSchedulesResponse(schedules=[reminder, paused])

    async def GetMemory(self, request: Any, context: Any) -> Any:  # noqa: N802
        fact = memory_pb2.Fact(number=1, label="name", text="Alice")
        return memory_pb2.GetMemoryResponse(facts=[fact], time_zone="Europe/Berlin")


@asynccontextmanager
async def asking(admin: Admin, token: str, channel_token: str = "") -> AsyncIterator[tuple[Emulators, Stream]]:
    """Emulators with an open page, which poll this admin service."""
    server = grpc.aio.server()
    kernel_pb2_grpc.add_KernelServiceServicer_to_server(Channel(), server)  # type: ignore[abstract]
    admin_pb2_grpc.add_KernelAdminServiceServicer_to_server(admin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    config = Config(
        emulators_listen="127.0.0.1:0",
        kernel_address=f"127.0.0.1:{port}",
        kernel_admin_token=token,
        kernel_token=channel_token,
    )
    async with (
        Emulators.start(config) as emulators,
        aiohttp.ClientSession() as session,
        session.get(f"{emulators.url}/phones/events") as response,
    ):
        yield emulators, Stream(response)
    await server.stop(None)


async def told(stream: Stream, wanted: str) -> dict[str, Any]:
    """The first state of the system on the page that contains the wanted words."""
    state = await stream.next("system")
    while wanted not in json.dumps(state):
        state = await stream.next("system")
    return state


async def system_says(admin: Admin, token: str, wanted: str) -> dict[str, Any]:
    async with asking(admin, token) as (_, stream):
        return await told(stream, wanted)


async def test_the_page_shows_the_state_of_the_system() -> None:
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0")) as first:
        alice = first.whatsapp.add_phone("Alice").user_id
    admin = Admin(alice)  # type: ignore[abstract]  # methods that the panel never calls stay unimplemented
    admin.toolkits = ["asana"]
    state = await system_says(admin, "admin", "asana")
    assert (state["problem"], state["resident"]) == ("", 1)
    known, unknown = state["people"]
    assert known == {
        "phone": alice,
        "person": "p_1",
        "resident": True,
        "busy": False,
        "items": 3,
        "waiting": 3,
        "held": 1_800_000_000.0,
        "tokens": 77,
        "connections": [{"toolkit": "asana", "status": "active"}],
        "schedules": [],
        "facts": [],
        "triggers": [],
        "window": "closed",
    }
    assert unknown["person"] == ""


async def test_the_page_shows_what_is_kept_for_later() -> None:
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0")) as first:
        admin = Admin(first.whatsapp.add_phone("Alice").user_id)  # type: ignore[abstract]
    async with asking(admin, "admin", "channel") as (_, stream):
        known, unknown = (await told(stream, "s_1"))["people"]
    assert known["facts"] == ["Name: Alice", "Time zone: Europe/Berlin"]
    first_one = {"id": "s_1", "kind": "remind", "request": "call Ada", "when": "Tomorrow, at 09:00"}
    second = {"id": "s_2", "kind": "do", "request": "sum up my mails", "when": ""}
    assert known["schedules"] == [
        first_one | {"next": 1_800_000_000, "paused": False},
        second | {"next": None, "paused": True},
    ]
    assert "facts" not in unknown


async def test_a_phone_added_during_a_poll_is_in_the_next_one() -> None:
    admin = Admin("US.1")  # type: ignore[abstract]
    async with asking(admin, "admin") as (emulators, stream):
        phones = emulators.whatsapp.phones
        admin.meanwhile = lambda: len(phones) == 2 and emulators.whatsapp.add_phone("Carol", bsuid="US.carol")
        assert len((await told(stream, "US.carol"))["people"]) == 3


@pytest.mark.parametrize(
    ("token", "words"), [("", "set KERNEL_ADMIN_TOKEN"), ("wrong", "KERNEL_ADMIN_TOKEN is not its token")]
)
async def test_without_the_right_token_the_page_says_so(token: str, words: str) -> None:
    admin = Admin("US.1")  # type: ignore[abstract]
    state = await system_says(admin, token, words)
    assert state["people"] == []


async def test_an_unavailable_kernel_service_is_reported() -> None:
    config = Config(emulators_listen="127.0.0.1:0", kernel_address="127.0.0.1:1", kernel_admin_token="admin")
    async with (
        Emulators.start(config) as emulators,
        aiohttp.ClientSession() as session,
        session.get(f"{emulators.url}/phones/events") as response,
    ):
        assert "is unavailable" in (await Stream(response).next("system"))["problem"]
