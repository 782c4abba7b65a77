"""The Composio emulator: the API below /composio/api/v3.1 and the consent pages below /composio/link."""

import asyncio
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from emulators.composio.account_routes import AccountRoutes
from emulators.composio.accounts import Account, Accounts, timestamp
from emulators.composio.catalogue_routes import CatalogueRoutes
from emulators.composio.consent import Consent, LinkGoneError
from emulators.composio.errors import of_status, refused
from emulators.composio.events import Events
from emulators.composio.execute import Execution
from emulators.composio.ids import Ids
from emulators.composio.project import Project
from emulators.composio.project_routes import ProjectRoutes
from emulators.composio.search import ToolSearch
from emulators.composio.session_routes import SessionRoutes
from emulators.composio.sessions import Session, Sessions
from emulators.composio.tools import catalogue
from emulators.composio.trigger_routes import TriggerRoutes
from emulators.composio.trigger_types import NEW_MAIL
from emulators.composio.triggers import Trigger, Triggers
from emulators.composio.workplace import Mail, Task, Workplace, Workplaces
from emulators.config import Config
from emulators.effects import Effects
from emulators.faults import Call
from emulators.vendor import RefusedError, Vendor


class Composio(Vendor):
    """Tests press the buttons of consent pages with approve() and deny(), and read any person's data.

    `base_url` is the URL for clients. Tests may add to `catalogue` and change `project`. `verifier_url` turns on the
    identity verifier. The routes, the consent page and the execution record effects, and document their names.
    """

    base = "/composio/api/v3.1"

    def __init__(
        self,
        config: Config,
        effects: Effects,
        url: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        ids = Ids(rng)
        super().__init__(lambda: ids.new("req"))
        self.base_url = f"{url}/composio"
        self.catalogue = catalogue()
        self._key = config.composio_api_key
        self._accounts = Accounts(ids, clock)
        self._sessions = Sessions(ids, self.catalogue, self._accounts)
        self._places = Workplaces()
        self._triggers = Triggers(ids, self.catalogue, clock)
        self.events = Events(config.emulators_events_url, config.composio_webhook_secret, effects, clock, rng)
        self.project = Project(config.composio_webhook_secret, lambda: self.events.url)
        self._clock = clock
        self._consent = Consent(self._accounts, self.catalogue, effects, ids, url)
        self._routes = (
            SessionRoutes(
                self,
                sessions=self._sessions,
                accounts=self._accounts,
                catalogue=self.catalogue,
                execution=Execution(self.catalogue, self._accounts, self._places, effects, ids),
                search=ToolSearch(self.catalogue, self._accounts, clock),
                consent=self._consent,
                effects=effects,
                ids=ids,
            ),
            AccountRoutes(self, self._accounts, effects),
            CatalogueRoutes(self, self.catalogue),
            ProjectRoutes(self, self.project),
            TriggerRoutes(self, self._triggers, self._accounts, self.catalogue, effects),
        )

    @property
    def sessions(self) -> list[Session]:
        return self._sessions.all()

    def accounts_of(self, user_id: str) -> list[Account]:
        """Oldest first, whatever their status."""
        return self._accounts.of(user_id)

    def workplace_of(self, user_id: str) -> Workplace:
        """All data in the person's accounts. Tests add items that other people have sent."""
        return self._places.of(user_id)

    def tasks_of(self, user_id: str) -> list[Task]:
        return self._places.of(user_id).tasks

    def approve(self, link: str) -> str:
        """Press Approve on a link's page; returns the URL that the browser opens next, or "". Raises LinkGoneError."""
        return self._consent.decide(_token(link), approve=True)

    def deny(self, link: str) -> str:
        """Press Deny on a link's page; otherwise as approve()."""
        return self._consent.decide(_token(link), approve=False)

    def expire(self, account_id: str) -> None:
        """The provider refuses the account's credentials from now on."""
        self._accounts.set_status(account_id, "EXPIRED", "Permanent auth error during token refresh")

    def revoke(self, account_id: str) -> None:
        self._accounts.set_status(account_id, "REVOKED", "Revoked via admin tool")

    def disable(self, account_id: str) -> None:
        self._accounts.set_status(account_id, "INACTIVE", "Connection status updated by user")

    def delete(self, account_id: str) -> None:
        """Delete the account, as a user does in the vendor's dashboard."""
        self._accounts.delete(account_id)

    @property
    def triggers(self) -> list[Trigger]:
        return self._triggers.all()

    def arrives(self, user_id: str, sender: str, subject: str, body: str) -> list[asyncio.Task[int]]:
        """A mail arrives in the person's Gmail. Returns the deliveries of its events, one per trigger that it fits."""
        place = self._places.of(user_id)
        mail = Mail(place.new_id(), sender, place.address, subject, body)
        place.inbox.insert(0, mail)
        data = _as_event(mail, timestamp(self._clock()))
        watching = self._triggers.watching(NEW_MAIL.slug, user_id, data)
        return [self.events.deliver(self.events.happened(trigger, data)) for trigger in watching]

    def delete_trigger(self, trigger_id: str) -> None:
        """Delete a trigger, as a developer does in the vendor's dashboard."""
        self._triggers.delete(trigger_id)

    def disable_trigger(self, trigger_id: str) -> asyncio.Task[int]:
        """Stop to watch because of an error, and say so by an event."""
        return self.events.deliver(self.events.disabled(self._triggers.disable(trigger_id)))

    async def close(self) -> None:
        await super().close()
        await self.events.close()

    def set_stale_reads(self, reads: int) -> None:
        """From now on, this many reads of an account are stale after it turns ACTIVE."""
        self._accounts.stale_reads = reads

    def set_verifier(self, url: str | None) -> None:
        """Let approved accounts wait for complete_auth, and send the browser to `url` with its session_uri."""
        self._consent.verifier_url = url

    def mount(self, app: web.Application) -> None:
        for group in self._routes:
            for method, path, handler in group.routes():
                app.router.add_route(method, f"{self.base}{path}", self.serving(handler))
        app.router.add_route("*", f"{self.base}/{{path:.*}}", self.serving(_unknown))
        self._consent.mount(app)
        control = self.control()
        control.add("approve", lambda body: {"onward": self._pressed(self.approve, body)})
        control.add("deny", lambda body: {"onward": self._pressed(self.deny, body)})
        control.add("expire", lambda body: self.expire(body["account"]))
        control.add("revoke", lambda body: self.revoke(body["account"]))
        control.add("disable", lambda body: self.disable(body["account"]))
        control.add("stale_reads", lambda body: self.set_stale_reads(body["reads"]))
        control.add("verifier", lambda body: self.set_verifier(body.get("url")))
        control.add("accounts", lambda _: {"accounts": [_shown(each) for each in self._accounts.all()]})
        control.add("mail", self._mail)
        control.mount(app, "composio")

    def check_key(self, request: web.Request) -> None:
        if request.headers.get("x-api-key") != self._key:
            raise refused(
                "Invalid API key" if "x-api-key" in request.headers else "No API key provided",
                slug="HTTP_Unauthorized",
                code=10401,
                status=401,
                fix="Send the project's API key in the x-api-key header.",
            )

    def person(self, path: str, body: Any) -> str:
        """The user id of the session in the path, or the one that the body names."""
        parts = path.split("/")
        if path.startswith("/tool_router/session/"):
            return self._sessions.user_of(parts[3])
        return str(body.get("user_id") or "") if body else ""

    def refusal(self, status: int) -> RefusedError:
        return of_status(status)

    def refuse(self, refused: RefusedError) -> web.Response:
        """The error and the x-request-id header contain the id of the request."""
        request_id = self.make_id()
        error = {**refused.body["error"], "request_id": request_id}
        return self.respond({"error": error}, refused.status, request_id)

    def check_content_type(self, request: web.Request) -> None:
        if request.content_type != "application/json":
            raise refused("Unsupported Media Type", slug="HTTP_UnsupportedMediaType", code=10415, status=415)

    def bad_body(self) -> RefusedError:
        return refused("Invalid JSON in request body", slug="HTTP_BadRequest", code=10400)

    def _mail(self, body: dict[str, Any]) -> dict[str, Any]:
        """{account, sender, subject, body}: a mail arrives in this Gmail account. → {events}, how many it causes."""
        account = next((each for each in self._accounts.all() if each.id == body["account"]), None)
        if account is None:
            raise ValueError("there is no such account; /control/composio/accounts lists them")
        if account.toolkit != NEW_MAIL.toolkit:
            raise ValueError(f"{account.id} is an account of {account.toolkit}, not of {NEW_MAIL.toolkit}")
        texts = [str(body[name]) for name in ("sender", "subject", "body")]
        return {"events": len(self.arrives(account.user_id, *texts))}

    def _pressed(self, button: Callable[[str], str], body: dict[str, Any]) -> str:
        try:
            return button(body["link"])
        except LinkGoneError:
            raise ValueError("the link was used, has expired or never existed") from None


def _shown(account: Account) -> dict[str, Any]:
    return {"id": account.id, "user_id": account.user_id, "toolkit": account.toolkit, "status": account.status}


def _as_event(mail: Mail, at: str) -> dict[str, Any]:
    """A mail as its trigger tells of it."""
    return {
        "message_id": mail.message_id,
        "thread_id": mail.message_id,
        "message_timestamp": at,
        "sender": mail.sender,
        "to": mail.to,
        "subject": mail.subject,
        "message_text": mail.body,
        "preview": {"subject": mail.subject, "body": mail.body[:200]},
        "attachment_list": [],
        "label_ids": ["INBOX", "UNREAD"],
    }


def _token(link: str) -> str:
    return urlsplit(link).path.rpartition("/")[2]


async def _unknown(_: web.Request, call: Call) -> web.StreamResponse:
    message = f"Cannot {call.method} /api/v3.1{call.path}"
    raise refused(message, slug="HTTP_NotFound", code=10404, status=404)
