"""The phones page and its endpoints: its files, the stream of events, and the actions of people."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.crashes import Crashes
from emulators.whatsapp.directory import Directory
from emulators.whatsapp.feed import Event, Feed
from emulators.whatsapp.latest_turns import LatestTurns
from emulators.whatsapp.media import DOCUMENT_BYTES, MediaStore, kind_of, too_large
from emulators.whatsapp.page_bodies import posted, text_in
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.system_panel import SystemPanel
from emulators.whatsapp.time_routes import TimeRoutes

PAGE = Path(__file__).parent / "page"
FIRST_PHONES = ("Alice", "Bob")

_KEEP_ALIVE_SECONDS = 15
_LONGEST_LABEL = 40
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Owner(Protocol):
    """The emulator whose phones the page shows."""

    @property
    def files(self) -> MediaStore: ...

    @property
    def phones(self) -> Directory: ...

    def add_phone(self, label: str) -> Phone: ...


class PageRoutes:
    """`/` is the page. `/phones/events` streams events to it, and it posts JSON below `/phones`.

    `/wa.me/<phone>?text=…` opens it as wa.me opens WhatsApp: with the text typed in, on the phone that was used last.
    """

    def __init__(
        self,
        owner: Owner,
        feed: Feed,
        *,
        panel: SystemPanel,
        time: TimeRoutes,
        turns: LatestTurns,
        crashes: Crashes,
    ) -> None:
        self._owner = owner
        self._feed = feed
        self._panel = panel
        self._time = time
        self._turns = turns
        self._crashes = crashes

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/", self._index)
        app.router.add_get("/wa.me/{phone:[0-9]+}", self._open_chat)
        app.router.add_get(r"/page/{name:[a-z]+\.(?:css|js|svg)}", self._file)
        app.router.add_get("/phones/events", self._events)
        app.router.add_get("/phones/files/{media:[0-9]+}", self._shown_file)
        app.router.add_post("/phones", self._add)
        app.router.add_post("/phones/{phone}/messages", self._write)
        app.router.add_post("/phones/{phone}/files", self._send_file)
        app.router.add_post("/phones/{phone}/reactions", self._react)
        app.router.add_post("/phones/{phone}/taps", self._tap)
        app.router.add_post("/phones/{phone}/read", self._read)
        self._time.mount(app)
        self._crashes.mount(app)

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html", headers=_HEADERS)

    async def _open_chat(self, request: web.Request) -> web.Response:
        text = request.query.get("text", "")
        raise web.HTTPSeeOther(URL("/").with_fragment(urlencode({"text": text})))

    async def _file(self, request: web.Request) -> web.FileResponse:
        file = PAGE / request.match_info["name"]
        if not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file, headers=_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: a snapshot, then each change."""
        # A new page starts with two people.
        if not len(self._owner.phones):
            for label in FIRST_PHONES:
                self._owner.add_phone(label)
        self._panel.start()
        response = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        # Only a write detects that the page was closed.
        with suppress(ConnectionResetError), self._feed.subscribe() as subscription:
            await response.write(_encoded(Event("snapshot", self._snapshot())))
            async for event in subscription.each(_KEEP_ALIVE_SECONDS):
                await response.write(b": still here\n\n" if event is None else _encoded(event))
        return response

    async def _add(self, request: web.Request) -> web.Response:
        label = text_in(await posted(request), "label", _LONGEST_LABEL)
        return web.json_response(self._owner.add_phone(label).as_json(), status=201)

    async def _write(self, request: web.Request) -> web.Response:
        phone, body = self._phone(request), await posted(request)
        quoting = _found(phone, body) if body.get("message") else None
        message = phone.write(text_in(body, "text", 65536), quoting=quoting)
        return web.json_response(message.as_json(), status=202)

    async def _send_file(self, request: web.Request) -> web.Response:
        """The body is the file's bytes; the query holds its name and its caption."""
        phone, data = self._phone(request), await request.read()
        # Another site cannot make a browser send this header.
        if "X-Phones-Page" not in request.headers:
            raise web.HTTPUnsupportedMediaType(text="send X-Phones-Page")
        mime_type = request.headers.get("Content-Type", "application/octet-stream")
        if not data or too_large(mime_type, len(data)):
            raise web.HTTPRequestEntityTooLarge(DOCUMENT_BYTES, len(data), text="file: empty, or too large to send")
        kind, voice = kind_of(mime_type), request.query.get("voice") == "true"
        message = phone.compose_file(
            "audio" if voice else kind,
            data,
            mime_type,
            caption=request.query.get("caption", "").strip()[:1024],
            filename=request.query.get("name", "")[:240] if kind == "document" and not voice else "",
            voice=voice,
        )
        phone.carry(message)
        return web.json_response(message.as_json(), status=202)

    async def _shown_file(self, request: web.Request) -> web.Response:
        file = self._owner.files.get(request.match_info["media"])
        if file is None:
            raise web.HTTPNotFound
        # The browser must not run any file as a page of this origin.
        safe = _HEADERS | {"Content-Security-Policy": "sandbox", "Content-Type": file.mime_type}
        return web.Response(body=file.data, headers=safe)

    async def _react(self, request: web.Request) -> web.Response:
        phone, body = self._phone(request), await posted(request)
        emoji = body.get("emoji")
        if not isinstance(emoji, str) or len(emoji) > 16:
            raise web.HTTPBadRequest(text="emoji: must be one emoji, or empty")
        phone.carry(phone.compose_reaction(_found(phone, body), emoji))
        return web.Response(status=202)

    async def _tap(self, request: web.Request) -> web.Response:
        phone, body = self._phone(request), await posted(request)
        message = _found(phone, body)
        try:
            reply = phone.pick(message, text_in(body, "choice", 256))
        except ValueError as problem:
            raise web.HTTPBadRequest(text=f"choice: {problem}") from None
        return web.json_response(reply.as_json(), status=202)

    async def _read(self, request: web.Request) -> web.Response:
        phone = self._phone(request)
        await posted(request)
        phone.read()
        return web.Response(status=204)

    def _phone(self, request: web.Request) -> Phone:
        phone = self._owner.phones.get(request.match_info["phone"])
        if phone is None:
            raise web.HTTPNotFound(text="phone: there is no such phone")
        return phone

    def _snapshot(self) -> dict[str, Any]:
        return {
            "phones": [
                phone.as_json() | {"messages": [each.as_json() for each in phone.messages]}
                for phone in self._owner.phones
            ],
            "turns": [self._turns.of(phone.user_id) for phone in self._owner.phones],
            "system": self._panel.state,
            "time": self._time.state,
            "crash": self._crashes.state,
        }


def _found(phone: Phone, body: dict[str, Any]) -> ChatMessage:
    message = phone.find(text_in(body, "message", 512))
    if message is None:
        raise web.HTTPNotFound(text="message: this phone has no such message")
    return message


def _encoded(event: Event) -> bytes:
    return f"event: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()
