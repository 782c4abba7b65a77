"""`/control/whatsapp/…`: switches for tests in other processes, in addition to those of every vendor."""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from emulators.control import Control
from emulators.whatsapp.account import Account
from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.directory import Directory
from emulators.whatsapp.graph import Graph
from emulators.whatsapp.graph_media import GraphMedia
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.statuses import EVERYBODY, Statuses
from emulators.whatsapp.templates import Template
from emulators.whatsapp.webhooks import Webhooks


class Owner(Protocol):
    """The emulator that the switches control."""

    account: Account
    graph: Graph
    media: GraphMedia
    phones: Directory
    rng: random.Random
    statuses: Statuses
    webhooks: Webhooks

    def carry(self, written: Sequence[tuple[Phone, ChatMessage]]) -> object: ...

    def carry_again(self, wamids: Sequence[str]) -> object: ...

    def tell_account(self, field: str, value: dict[str, Any] | None = None, *, at: int | None = None) -> object: ...


class Switches:
    """fail, hold and slow apply to sends to the Graph API. The methods below document the other switches."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def mount(self, app: web.Application) -> None:
        owner = self._owner
        control = Control(owner.graph.before, owner.graph.after)
        control.add("together", self._together)
        control.add("again", self._again)
        control.add("account_event", self._account_event)
        control.add("account", self._account)
        control.add("template", self._template)
        control.add("fail_template", self._fail_template)
        control.add("media", self._media)
        control.add("patience", self._patience)
        control.add("jitter", self._jitter)
        control.add("withhold", lambda body: owner.statuses.withhold(body.get("person", EVERYBODY)))
        control.add("let_go", lambda _: owner.statuses.release())
        control.mount(app, "whatsapp")

    def _together(self, body: dict[str, Any]) -> dict[str, Any]:
        """{messages: [{phone, text}]} → {wamids}: texts of one or several people, in one POST."""
        written = [self._composed(message["phone"], message["text"]) for message in body["messages"]]
        self._owner.carry(written)
        return {"wamids": [message.id for _, message in written]}

    def _again(self, body: dict[str, Any]) -> None:
        """{wamids}: deliver these once more, in one POST."""
        self._owner.carry_again(body["wamids"])

    def _account_event(self, body: dict[str, Any]) -> None:
        """{field, value?, at?}: send an event of the account; by default the example of Meta's reference."""
        self._owner.tell_account(body["field"], body.get("value"), at=body.get("at"))

    def _account(self, body: dict[str, Any]) -> None:
        """{scopes?, expires_at?, fields?, …, numbers?: {<id>: {status?, quality?, …}}}: change fields of Account."""
        account = self._owner.account
        for number, facts in body.pop("numbers", {}).items():
            for name, value in facts.items():
                setattr(account.numbers[number], name, value)
        for name, value in body.items():
            setattr(account, name, value)

    def _template(self, body: dict[str, Any]) -> None:
        """{name, language, body?, buttons?, status?}: add or replace a template; by default it is approved."""
        self._owner.graph.templates.add(Template(**body))

    def _fail_template(self, body: dict[str, Any]) -> None:
        """{code, times?, person?}: accept the next templates, and report each as failed with this code."""
        self._owner.graph.outcomes.fail(body["code"], int(body.get("times", 1)), person=body.get("person", EVERYBODY))

    def _media(self, body: dict[str, Any]) -> None:
        """{leads_to?, moved_to?}: the address to report for files, and the target of redirects; omitted: normal."""
        self._owner.media.leads_to, self._owner.media.moved_to = body.get("leads_to", ""), body.get("moved_to", "")

    def _patience(self, body: dict[str, Any]) -> None:
        """{seconds}: how long to wait before a refused webhook is delivered again."""
        seconds = float(body["seconds"])
        self._owner.webhooks.backoff = lambda _: seconds

    def _jitter(self, body: dict[str, Any]) -> None:
        """{seconds}: delay each webhook by a random time of up to `seconds`."""
        seconds = float(body["seconds"])
        self._owner.webhooks.delay = lambda: self._owner.rng.uniform(0, seconds)

    def _composed(self, bsuid: str, text: str) -> tuple[Phone, ChatMessage]:
        phone = self._owner.phones.get(bsuid)
        if phone is None:
            raise LookupError(f"there is no phone {bsuid}")
        return phone, phone.compose("text", {"body": text}, text)
