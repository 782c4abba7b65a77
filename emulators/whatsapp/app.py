"""The WhatsApp emulator: Graph API, webhooks, phones and their page, put together."""

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from emulators.config import Config
from emulators.effects import Effects
from emulators.faults import Match, every
from emulators.whatsapp.account_events import account_event
from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.directory import Directory
from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.graph import Graph
from emulators.whatsapp.graph_caller import Caller
from emulators.whatsapp.graph_media import GraphMedia
from emulators.whatsapp.ids import message_id
from emulators.whatsapp.media import MediaStore
from emulators.whatsapp.page_routes import PageRoutes
from emulators.whatsapp.payloads import Ids, changed_number_value, messages_value
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.statuses import Statuses
from emulators.whatsapp.switches import Switches
from emulators.whatsapp.system_panel import SystemPanel
from emulators.whatsapp.webhooks import Webhooks


class WhatsApp:
    """Phones on one side, the business's webhook and Graph calls on the other.

    Tests add phones and use them; `graph`, `webhooks` and `statuses` carry the switches for faults. Effects of what
    people write: message_posted as it sets out, message_taken once the business has answered 200 (key: the wamid).
    """

    def __init__(
        self,
        config: Config,
        effects: Effects,
        url: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.page_url = f"{url}/"
        self._clock = clock
        self.rng = rng
        self._effects = effects
        self._numbers = [number.strip() for number in config.whatsapp_phone_number_id.split(",")]
        self._verify_token = config.whatsapp_verify_token
        self._feed = Feed()
        self.phones = Directory()
        self.webhooks = Webhooks(config.emulators_webhook_url, config.whatsapp_app_secret.partition(",")[0].strip())
        self.statuses = Statuses(self.webhooks, effects, clock)
        caller = Caller(config.whatsapp_access_token, self._numbers)
        self.files = MediaStore(clock, rng)
        self.media = GraphMedia(caller, self.files, effects)
        self.graph = Graph(
            caller,
            self.files,
            directory=self.phones,
            statuses=self.statuses,
            effects=effects,
            clock=clock,
            rng=rng,
        )
        self._panel = SystemPanel(
            config.kernel_address, config.kernel_admin_token, self.phones, self._feed, tls_ca=config.kernel_tls_ca
        )
        self._page = PageRoutes(self, self._feed, self._panel)

    def mount(self, app: web.Application) -> None:
        # The Graph API's own paths come last: it answers all that nobody else knows.
        self.media.mount(app)
        self.graph.mount(app)
        self._page.mount(app)
        Switches(self).mount(app)

    async def close(self) -> None:
        self._feed.close()
        await self._panel.close()
        await self.statuses.close()
        await self.webhooks.close()

    def add_phone(
        self,
        label: str,
        *,
        name: str | None = None,
        bsuid: str | None = None,
        wa_id: str | None = None,
        username: str = "",
    ) -> Phone:
        """A phone for one more person; labels and names need not be unique.

        name is the profile name (by default the label). Without bsuid and wa_id both are made up, always
        the same for the n-th phone of a label; wa_id="" hides the number. Raises ValueError if one is taken.
        """
        phone = self.phones.add(self, label, name=name, bsuid=bsuid, wa_id=wa_id, username=username)
        self._feed.publish("phone", phone.as_json())
        return phone

    async def send_together(self, texts: Sequence[tuple[Phone, str]]) -> list[ChatMessage]:
        """Texts of several people in one webhook POST; returns when the gateway has taken it."""
        written = [(phone, phone.compose("text", {"body": text}, text)) for phone, text in texts]
        await self.carry(written)
        return [message for _, message in written]

    async def change_number(
        self, phone: Phone, wa_id: str, bsuid: str, *, tell_previous: bool = True, tell: bool = True
    ) -> None:
        """The person takes another phone number, and so gets another BSUID. Their former number is free again.

        Without tell no notice is sent, without tell_previous it names no BSUID before, as older ones; returns
        when the gateway has taken it. Raises ValueError if one of the ids is another phone's.
        """
        before = Ids(phone.user_id, phone.wa_id)
        self.phones.rename(phone, bsuid, wa_id)
        if tell:
            wamid = self.new_message_id(phone)
            value = changed_number_value(
                self.default_number(), wamid, before, phone, at=self._clock(), tell_previous=tell_previous
            )
            await self.webhooks.deliver(value)

    def tell_account(
        self, field: str, value: dict[str, Any] | None = None, *, at: int | None = None
    ) -> asyncio.Task[None]:
        """Tell something of the account: the value, or the field's example. KeyError: a field that has none."""
        told = account_event(field, self.default_number()) if value is None else value
        return self.webhooks.deliver(told, field=field, at=int(self._clock()) if at is None else at)

    async def verify_webhook(self) -> bool:
        """Subscribe to the gateway's webhook as Meta does: whether it proved to know the verify token."""
        challenge = str(secrets.randbelow(10**10))
        return await self.webhooks.verify(self._verify_token, challenge) == (200, challenge)

    def fail_next(self, code: int, times: int = 1, *, match: Match = every) -> None:
        """Refuse the next matching sends with one of Meta's error codes."""
        refusal = GraphError(code, details="Refused on request.")
        self.graph.before.fail(refusal.status, times, body=json.dumps(refusal.body()), match=match)

    def now(self) -> float:
        return self._clock()

    def default_number(self) -> str:
        return self._numbers[0]

    def new_message_id(self, phone: Phone) -> str:
        return message_id(phone.wa_id or phone.user_id, self.rng, inbound=True)

    def carry(self, written: Sequence[tuple[Phone, ChatMessage]]) -> asyncio.Task[None]:
        """Bring messages to the gateway in one POST; two ticks for each when they are there."""
        for phone, message in written:
            self.phones.wrote(phone, message)
            post = written[0][1].id
            told = {"text": message.text, "post": post, "sent_at": int(message.at)}
            self._effects.record("message_posted", person=phone.user_id, key=message.id, **told)
        delivery = self.webhooks.deliver(messages_value(written[0][1].number, written))
        delivery.add_done_callback(lambda done: None if done.cancelled() else self._taken(written))
        return delivery

    def carry_again(self, wamids: Sequence[str]) -> asyncio.Task[None]:
        """Bring messages that were brought before once more, in one POST of their own. Raises LookupError."""
        written = [self._written(wamid) for wamid in wamids]
        return self.webhooks.deliver(messages_value(written[0][1].number, written))

    def report_read(self, phone: Phone, message: ChatMessage) -> None:
        self.statuses.report(phone, message, "read")

    def show(self, phone: Phone, message: ChatMessage) -> None:
        self._feed.publish("message", {"phone": phone.user_id, "message": message.as_json()})

    def show_typing(self, phone: Phone) -> None:
        self._feed.publish("phone", phone.as_json())

    def _taken(self, written: Sequence[tuple[Phone, ChatMessage]]) -> None:
        for phone, message in written:
            self._effects.record("message_taken", person=phone.user_id, key=message.id)
            phone.advance(message, "delivered")

    def _written(self, wamid: str) -> tuple[Phone, ChatMessage]:
        phone = self.phones.sender(wamid)
        message = phone.find(wamid) if phone else None
        if phone is None or message is None:
            raise LookupError(f"nobody wrote {wamid}")
        return phone, message
