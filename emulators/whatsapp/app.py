"""The WhatsApp emulator: combines the Graph API, webhooks, phones and their page."""

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from emulators.config import Config
from emulators.effects import Effects
from emulators.faults import Match, every
from emulators.passing_time import PassingTime
from emulators.whatsapp.account import Account, Number
from emulators.whatsapp.account_events import account_event
from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.crashes import Crashes
from emulators.whatsapp.directory import Directory
from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.graph import Graph
from emulators.whatsapp.graph_account import GraphAccount
from emulators.whatsapp.graph_caller import Caller
from emulators.whatsapp.graph_media import GraphMedia
from emulators.whatsapp.ids import message_id
from emulators.whatsapp.kernel_plans import KernelPlans
from emulators.whatsapp.kill_switch import KillSwitch
from emulators.whatsapp.latest_turns import LatestTurns
from emulators.whatsapp.media import MediaStore
from emulators.whatsapp.page_routes import PageRoutes
from emulators.whatsapp.payloads import Ids, changed_number_value, messages_value
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.statuses import Statuses
from emulators.whatsapp.switches import Switches
from emulators.whatsapp.system_panel import SystemPanel
from emulators.whatsapp.time_routes import TimeRoutes
from emulators.whatsapp.webhooks import Webhooks


class WhatsApp:
    """Phones on one side, the business's webhook and Graph calls on the other.

    Tests add phones and use them. `graph`, `webhooks` and `statuses` have the switches for faults. `account` is what an
    operator has configured at Meta, which the endpoints of `setup` return. Effects of people's
    messages: message_posted when one is sent, message_taken once the business has answered 200 (key: the wamid).
    """

    def __init__(
        self,
        config: Config,
        effects: Effects,
        url: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        time: PassingTime | None = None,
        watched: Callable[[str], list[dict[str, Any]]] = lambda _: [],
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
        self.account = Account(
            secrets=[secret.strip() for secret in config.whatsapp_app_secret.split(",")],
            numbers={number: Number(number) for number in self._numbers},
            callback=lambda: self.webhooks.url.partition(",")[0],
        )
        caller = Caller(config.whatsapp_access_token, self.account, clock)
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
            config.kernel_address,
            config.kernel_admin_token,
            self.phones,
            self._feed,
            KernelPlans(config.kernel_token),
            watched=watched,
            is_window_open=lambda phone: self.graph.is_window_open(phone, self.default_number()),
            tls_ca=config.kernel_tls_ca,
        )
        self.setup = GraphAccount(caller, self.account, self.graph.templates)
        if time is not None:
            time.next_due = lambda: self._panel.state["next"]
        self._turns = LatestTurns(self._feed)
        effects.recorded = self._turns.follow
        self._kills = KillSwitch(config.emulators_kills_fd)
        self.crashes = Crashes(
            self._kills, self._feed, phones=self.phones, effects=effects, turns=self._turns, now=clock
        )
        self._panel.asked = partial(_told, self._turns, self.crashes)
        self._page = PageRoutes(
            self,
            self._feed,
            panel=self._panel,
            time=TimeRoutes(time, clock, self._feed),
            turns=self._turns,
            crashes=self.crashes,
        )

    def mount(self, app: web.Application) -> None:
        # An id of a number looks like that of a file, and the Graph API answers all other paths.
        self.setup.mount(app)
        self.media.mount(app)
        self.graph.mount(app)
        self._page.mount(app)
        app.on_startup.append(self._start)
        Switches(self).mount(app)

    async def _start(self, _: web.Application) -> None:
        self._kills.start()

    async def close(self) -> None:
        self._feed.close()
        await self._panel.close()
        await self._kills.close()
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
        """Add a phone for one more person. Labels and names need not be unique.

        `name` is the profile name (by default the label). Ids that are not given are derived from the label, and are
        always the same for its n-th phone. wa_id="" hides the number. Raises ValueError if an id is in use.
        """
        phone = self.phones.add(self, label, name=name, bsuid=bsuid, wa_id=wa_id, username=username)
        self._turns.add_phone(phone.user_id)
        self._feed.publish("phone", phone.as_json())
        return phone

    async def send_together(self, texts: Sequence[tuple[Phone, str]]) -> list[ChatMessage]:
        """Send texts of several people in one webhook POST; returns when the gateway has accepted it."""
        written = [(phone, phone.compose("text", {"body": text}, text)) for phone, text in texts]
        await self.carry(written)
        return [message for _, message in written]

    async def change_number(
        self, phone: Phone, wa_id: str, bsuid: str, *, tell_previous: bool = True, tell: bool = True
    ) -> None:
        """Change the person's phone number, and so their BSUID. Their former number is free again.

        Without `tell` no notice is sent. Without `tell_previous` the notice omits the former BSUID, as older notices
        do. Returns when the gateway has accepted it. Raises ValueError if an id belongs to another phone.
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
        """Send an event of the account: the value, or the field's example. Raises KeyError if it has no example."""
        told = account_event(field, self.default_number()) if value is None else value
        return self.webhooks.deliver(told, field=field, at=int(self._clock()) if at is None else at)

    def change_template(self, name: str, language: str, status: str) -> asyncio.Task[None]:
        """Approve, pause, reject or disable a template, and tell the business. Raises KeyError for an unknown one."""
        self.graph.templates.get(name, language).status = status
        value = {
            "event": status,
            "message_template_id": 1689556908129832,
            "message_template_name": name,
            "message_template_language": language.replace("_", "-"),
            "reason": "NONE",
        }
        return self.tell_account("message_template_status_update", value)

    async def verify_webhook(self) -> bool:
        """Subscribe to the gateway's webhook as Meta does. Returns whether the gateway knows the verify token."""
        challenge = str(secrets.randbelow(10**10))
        return await self.webhooks.verify(self._verify_token, challenge) == (200, challenge)

    def fail_next(
        self, code: int, times: int = 1, *, retry_after: float | str | None = None, match: Match = every
    ) -> None:
        """Refuse the next matching sends with one of Meta's error codes, and with this `Retry-After`, if any."""
        refusal = GraphError(code, details="Refused on request.")
        body = json.dumps(refusal.body())
        self.graph.before.fail(refusal.status, times, retry_after=retry_after, body=body, match=match)

    def now(self) -> float:
        return self._clock()

    def default_number(self) -> str:
        return self._numbers[0]

    def new_message_id(self, phone: Phone) -> str:
        return message_id(phone.wa_id or phone.user_id, self.rng, inbound=True)

    def carry(self, written: Sequence[tuple[Phone, ChatMessage]]) -> asyncio.Task[None]:
        """Deliver messages to the gateway in one POST, and show two ticks for each once it has accepted them."""
        for phone, message in written:
            self.phones.wrote(phone, message)
            post = written[0][1].id
            told = {"type": message.kind, "text": message.text, "post": post, "sent_at": int(message.at)}
            self._effects.record("message_posted", person=phone.user_id, key=message.id, **told)
        delivery = self.webhooks.deliver(messages_value(written[0][1].number, written))
        delivery.add_done_callback(lambda done: None if done.cancelled() else self._taken(written))
        return delivery

    def carry_again(self, wamids: Sequence[str]) -> asyncio.Task[None]:
        """Deliver earlier messages once more, in a separate POST. Raises LookupError for an unknown one."""
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
            raise LookupError(f"there is no message {wamid}")
        return phone, message


def _told(turns: LatestTurns, crashes: Crashes, system: dict[str, Any]) -> None:
    """Pass on what the kernel service has told."""
    for person in system["people"]:
        if person["person"]:
            turns.learn(person["phone"], person["person"])
    crashes.look(system)
