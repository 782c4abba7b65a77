"""The Graph API at /graph: checks the caller and the request, and carries out the request."""

import json
import random
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from emulators.effects import Effects
from emulators.faults import Call, Faults
from emulators.whatsapp.chat import ChatMessage, received
from emulators.whatsapp.directory import Directory
from emulators.whatsapp.errors import GraphError, status_error
from emulators.whatsapp.graph_caller import Caller
from emulators.whatsapp.graph_checks import check_request
from emulators.whatsapp.graph_faults import failed
from emulators.whatsapp.ids import BSUID, message_id
from emulators.whatsapp.media import MediaStore, is_voice, kind_of
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.shapes import FileSend, Media, ReactionSend, Read, Send, TemplateSend
from emulators.whatsapp.statuses import Statuses
from emulators.whatsapp.template_outcomes import TemplateOutcomes, message_status
from emulators.whatsapp.templates import Template, Templates

WINDOW = 24 * 3600
"""How long after a person's last message free-form messages reach them."""

_UNDELIVERABLE = "Message Undeliverable."
_WINDOW_CLOSED = (
    "Message failed to send because more than 24 hours have passed since the customer last replied to this number."
)


class Graph:
    """`POST /graph/{version}/{phone_number_id}/messages`, strictly.

    The faults in `before` apply before a call is executed, those in `after` once the send is accepted (status 0 drops
    the connection without an answer). `pacing` is the least time between two sends to one person, in seconds;
    `throughput` is how many messages a number may send in a second. 0 disables either limit. `templates` are those of
    the account, `outcomes` decides on those that are accepted.
    """

    def __init__(
        self,
        caller: Caller,
        media: MediaStore,
        *,
        directory: Directory,
        statuses: Statuses,
        effects: Effects,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.before = Faults()
        self.after = Faults()
        self.pacing = 0.0
        self.throughput = 0
        self.templates = Templates()
        self.outcomes = TemplateOutcomes(statuses)
        self._caller = caller
        self._media = media
        self._directory = directory
        self._statuses = statuses
        self._effects = effects
        self._clock = clock
        self._rng = rng
        self._last_sent: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._sent: defaultdict[str, deque[float]] = defaultdict(deque)

    def mount(self, app: web.Application) -> None:
        app.router.add_post("/graph/{version}/{number}/messages", self._messages)
        app.router.add_route("*", "/graph/{path:.*}", self._unknown)

    async def _messages(self, request: web.Request) -> web.Response:
        try:
            number = self._caller.check_number(request)
            body = await _body(request)
            wanted = check_request(body)
            phone = self._directory.recipient(wanted) if isinstance(wanted, Send) else None
            call = Call("POST", f"/{number}/messages", body, phone.user_id if phone else "", dict(request.headers))
            fault = await self.before.pass_through(call)
            if fault is None:
                answer = self._read(wanted) if isinstance(wanted, Read) else self._send(wanted, phone, number)
                fault = await self.after.pass_through(call)
        except GraphError as refusal:
            return web.json_response(refusal.body(), status=refusal.status)
        return failed(request, fault) if fault else web.json_response(answer)

    def _read(self, read: Read) -> dict[str, Any]:
        phone = self._directory.sender(read.message_id)
        if phone is None:
            raise GraphError(131009, details="Param message_id is not the ID of a message that was received.")
        typing = read.typing_indicator is not None
        phone.read_by_business(read.message_id, typing=typing)
        self._effects.record("graph_read", person=phone.user_id, key=read.message_id, typing=typing)
        return {"success": True}

    def _send(self, send: Send, phone: Phone | None, number: str) -> dict[str, Any]:
        self._check_throughput(number)
        if isinstance(send, FileSend):
            self._check_file(send.file, send.type)
        template = self.templates.checked(send) if isinstance(send, TemplateSend) else None
        if phone is not None:
            self._pace(number, phone)
        to = send.to or send.recipient
        message = received(send, message_id(to, self._rng, inbound=False), number, self._clock())
        if template is not None and isinstance(send, TemplateSend):
            template.show(message, send)
        kind = self._deliver(send, message, phone, template)
        self._effects.record(
            kind,
            person=phone.user_id if phone else to,
            key=message.callback or message.id,
            label=phone.label if phone else "",
            wamid=message.id,
            number=number,
            type=message.kind,
            text=message.text,
            choices=[choice.id for choice in message.choices],
            **({"link": message.link.url} if message.link else {}),
        )
        contact = {"wa_id": to.lstrip("+")} if send.to else {"user_id": to}
        return {
            "messaging_product": "whatsapp",
            "contacts": [{"input": to} | contact],
            "messages": [{"id": message.id} | (message_status(template) if template else {})],
        }

    def _check_throughput(self, number: str) -> None:
        sent, now = self._sent[number], self._clock()
        while sent and sent[0] <= now - 1:
            sent.popleft()
        if self.throughput and len(sent) >= self.throughput:
            raise GraphError(130429, details="Too many messages sent from this phone number in a short time.")
        sent.append(now)

    def _check_file(self, media: Media, kind: str) -> None:
        """A file given by id must be uploaded, not expired, and of a type that this kind of message allows."""
        if media.id is None:
            return
        file = self._media.get(media.id)
        if file is None:
            raise GraphError(131009, details=f"Param {kind}['id'] is not a valid whatsapp business account media id.")
        if kind != "document" and kind_of(file.mime_type) != kind:
            raise GraphError(131053, details=f"Media of type {file.mime_type} cannot be sent as {kind}.")
        if getattr(media, "voice", False) and not is_voice(file.data):
            raise GraphError(131053, details="A voice message has to be an .ogg file with the OPUS codec.")

    def _pace(self, number: str, phone: Phone) -> None:
        pair, now = (number, phone.user_id), self._clock()
        if self.pacing and now - self._last_sent[pair] < self.pacing:
            raise GraphError(131056, details="Too many messages sent from this phone number to the same phone number.")
        self._last_sent[pair] = now

    def is_window_open(self, phone: Phone, number: str) -> bool:
        """Whether the person has written to this number of the business in the last 24 hours."""
        wrote = phone.last_wrote(number)
        return wrote is not None and self._clock() - wrote < WINDOW

    def _deliver(self, send: Send, message: ChatMessage, phone: Phone | None, template: Template | None) -> str:
        """Deliver an accepted send. Returns the kind of its effect."""
        if phone is None:
            return self._undeliverable(send, message)
        if template is not None:
            return self.outcomes.deliver(template, phone, message)
        if not self.is_window_open(phone, message.number):
            self._statuses.report(phone, message, "failed", status_error(131047, _WINDOW_CLOSED))
            return "graph_send_failed"
        if isinstance(send, ReactionSend):
            phone.react(send.reaction.message_id, send.reaction.emoji)
        else:
            phone.receive(message)
        self._statuses.report(phone, message, "sent")
        self._statuses.report(phone, message, "delivered")
        return "graph_send"

    def _undeliverable(self, send: Send, message: ChatMessage) -> str:
        if BSUID.fullmatch(send.to):
            return "graph_send_dropped"
        stranger = self._directory.stranger(send)
        self._statuses.report(stranger, message, "failed", status_error(131026, _UNDELIVERABLE))
        return "graph_send_failed"

    async def _unknown(self, request: web.Request) -> web.Response:
        refusal = GraphError(2500, f"Unknown path components: {request.path.removeprefix('/graph')}")
        return web.json_response(refusal.body(), status=refusal.status)


async def _body(request: web.Request) -> Any:
    if request.content_type != "application/json":
        return None
    try:
        return json.loads(await request.read())
    except ValueError:
        return None
