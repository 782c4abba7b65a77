"""The consent page of a connect link: the requesting app, Approve or Deny, and the redirect back."""

from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from emulators.composio.accounts import Accounts, Link
from emulators.composio.catalogue import Catalogue
from emulators.composio.ids import Ids
from emulators.effects import Effects

Handler = Callable[[web.Request], Awaitable[web.Response]]

_PAGE = Template((Path(__file__).parent / "consent.html").read_text(encoding="utf-8"))
_FORM = """<form method="post">
<button name="decision" value="deny">Deny</button>
<button name="decision" value="approve">Approve</button>
</form>"""


class LinkGoneError(Exception):
    """The link was used, has expired, or never existed."""


class Consent:
    """With a verifier_url, an approved account waits for complete_auth, as in projects that set a verifier."""

    def __init__(self, accounts: Accounts, catalogue: Catalogue, effects: Effects, ids: Ids, public_url: str) -> None:
        self.verifier_url: str | None = None
        self._accounts = accounts
        self._catalogue = catalogue
        self._effects = effects
        self._ids = ids
        self._public_url = public_url

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/composio/link/{token}", self._serving(self._ask))
        app.router.add_post("/composio/link/{token}", self._serving(self._answer))

    def url(self, link: Link) -> str:
        return f"{self._public_url}/composio/link/{link.token}"

    def decide(self, token: str, *, approve: bool) -> str:
        """Handle a button; returns the URL to which the person is sent next, or "". Raises LinkGoneError."""
        link = self._open(token)
        link.used = True
        account = link.account
        if approve and self.verifier_url is not None:
            link.session_uri = self._ids.new("ses")
            return _extended(self.verifier_url, session_uri=link.session_uri)
        if approve:
            self._accounts.activate(account.id)
        else:
            self._accounts.set_status(account.id, "FAILED", "OAuth callback failed during token exchange")
        kind = "account_connected" if approve else "account_denied"
        self._effects.record(kind, person=account.user_id, key=account.id, toolkit=account.toolkit)
        if link.callback_url is None:
            return ""
        status = "success" if approve else "failed"
        return _extended(link.callback_url, status=status, connected_account_id=account.id)

    def _open(self, token: str) -> Link:
        link = self._accounts.opened(token)
        if link is None:
            raise LinkGoneError
        return link

    def _serving(self, handler: Handler) -> Handler:
        async def serve(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except LinkGoneError:
                text = "This link was used already or has expired. Ask for a new one in your chat."
                return _page("Link expired", text, status=410)

        return serve

    async def _ask(self, request: web.Request) -> web.Response:
        account = self._open(request.match_info["token"]).account
        name = self._catalogue.toolkits[account.toolkit].name
        text = (
            f"“Kernel per person” asks for access to your {name}, for the user {account.user_id}. "
            f"Approve only if you have just asked for this yourself."
        )
        return _page(f"Connect {name}", text, _FORM)

    async def _answer(self, request: web.Request) -> web.Response:
        decision = (await request.post()).get("decision")
        if decision not in ("approve", "deny"):
            return _page("Please choose", "Approve or deny.", _FORM, status=400)
        onward = self.decide(request.match_info["token"], approve=decision == "approve")
        if onward:
            raise web.HTTPSeeOther(onward)
        if decision == "approve":
            return _page("Connected", "You can go back to your chat now.")
        return _page("Not connected", "You have denied access. You can go back to your chat now.")


def _page(title: str, text: str, form: str = "", status: int = 200) -> web.Response:
    body = _PAGE.substitute(title=escape(title), text=escape(text), form=form)
    return web.Response(text=body, content_type="text/html", status=status)


def _extended(url: str, **more: str) -> str:
    """The URL with parameters appended to its query."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *more.items()])
    return urlunsplit(parts._replace(query=query))
