"""The Graph API's read endpoints for an operator's settings: token, number, subscriptions and templates.

Sources: those of account.py; developers.facebook.com/docs/graph-api/guides/secure-requests about appsecret_proof, and
github.com/facebook/facebook-python-business-sdk/issues/528 for its refusal. A token without a role in the app may not
ask for itself: github.com/nyaruka/rapidpro/pull/3734.
"""

import hashlib
import hmac
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from emulators.faults import Call, Faults
from emulators.whatsapp.account import APP_ID, MANAGEMENT, MESSAGING, WABA_ID, Account
from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.graph_caller import Caller, no_such_object
from emulators.whatsapp.graph_faults import failed
from emulators.whatsapp.templates import Template, Templates

Answer = Callable[[web.Request], dict[str, Any]]
_DEFAULT_FIELDS: Final = ("verified_name", "code_verification_status", "display_phone_number", "quality_rating", "id")
_PAGE: Final = 25
_NO_ROLE: Final = (
    "(#100) You must provide an app access token, or a user access token that is an owner or developer of the app"
)


class GraphAccount:
    """`faults` apply first; in their calls `path` is the one below the version. The answers never change anything."""

    def __init__(self, caller: Caller, account: Account, templates: Templates) -> None:
        self.faults = Faults()
        self._caller = caller
        self._account = account
        self._templates = templates

    def mount(self, app: web.Application) -> None:
        base = "/graph/{version}"
        numbers = "|".join(self._account.numbers)
        app.router.add_get(f"{base}/debug_token", self._answering(self._debug_token))
        app.router.add_get(f"{base}/app", self._answering(self._app))
        app.router.add_get(f"{base}/{{app:{APP_ID}}}/subscriptions", self._answering(self._subscriptions))
        app.router.add_get(f"{base}/{{waba:[0-9]+}}/subscribed_apps", self._answering(self._subscribed_apps))
        app.router.add_get(f"{base}/{{waba:[0-9]+}}/message_templates", self._answering(self._message_templates))
        app.router.add_get(f"{base}/{{node:{numbers}}}", self._answering(self._number))

    def _answering(self, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            path = request.path.removeprefix(f"/graph/{request.match_info['version']}")
            if fault := await self.faults.pass_through(Call("GET", path, dict(request.query), "")):
                return failed(request, fault)
            try:
                return web.json_response(answer(request))
            except GraphError as refusal:
                return web.json_response(refusal.body(), status=refusal.status)

        return handle

    def _check(self, request: web.Request, *scopes: str) -> None:
        """Check the token, its proof if there is one, and that it has one of the scopes."""
        self._caller.check(request)
        proof = request.query.get("appsecret_proof")
        token = request.headers["Authorization"].removeprefix("Bearer ")
        proofs = [_proof(token, secret) for secret in self._account.secrets]
        if proof is not None and proof not in proofs:
            problem = "Invalid appsecret_proof provided in the API argument"
            raise GraphError(100, problem, kind="GraphMethodException")
        if scopes and not set(scopes) & set(self._account.scopes):
            raise GraphError(200, "(#200) You do not have the necessary permissions required to read this object")

    def _check_app(self, request: web.Request) -> None:
        """An app access token is `<app id>|<app secret>`."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        app, bar, secret = token.partition("|")
        if not bar:
            raise GraphError(15, "(#15) This method must be called with an app access_token.")
        if app != APP_ID or secret not in self._account.secrets:
            raise GraphError(190, "Invalid OAuth access token signature.")

    def _debug_token(self, request: web.Request) -> dict[str, Any]:
        """The token itself may ask, as may its app. An invalid token is described, not refused."""
        if "|" in request.headers.get("Authorization", ""):
            self._check_app(request)
        else:
            self._check(request)
            if not self._account.may_inspect:
                raise GraphError(100, _NO_ROLE)
        token = request.query.get("input_token")
        if not token:
            raise GraphError(100, "(#100) The parameter input_token is required")
        try:
            self._caller.check_given(token)
        except GraphError as refusal:
            error = {"code": refusal.code, "message": refusal.message}
            error |= {"subcode": refusal.subcode} if refusal.subcode else {}
            return {"data": {"error": error, "is_valid": False, "scopes": []}}
        return {"data": self._account.token()}

    def _app(self, request: web.Request) -> dict[str, Any]:
        """The app of any valid token."""
        self._check(request)
        return {"category": "Business", "link": "https://www.facebook.com/", "name": "Emulated App", "id": APP_ID}

    def _number(self, request: web.Request) -> dict[str, Any]:
        self._check(request, MANAGEMENT, MESSAGING)
        number = self._account.numbers[request.match_info["node"]]
        if not number.is_ours:
            raise no_such_object(number.id, "get")
        facts = number.as_json(self._account.callbacks())
        wanted = [name for name in request.query.get("fields", "").split(",") if name] or _DEFAULT_FIELDS
        for name in wanted:
            if name not in facts:
                kind = "WhatsAppBusinessPhoneNumber"
                raise GraphError(100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({kind})")
        return {name: facts[name] for name in (*wanted, "id")}

    def _subscriptions(self, request: web.Request) -> dict[str, Any]:
        self._check_app(request)
        return {"data": self._account.app_subscriptions()}

    def _subscribed_apps(self, request: web.Request) -> dict[str, Any]:
        self._check_waba(request)
        return {"data": self._account.subscribed_apps()}

    def _message_templates(self, request: web.Request) -> dict[str, Any]:
        """`name` matches names that contain it, as at Meta."""
        self._check_waba(request)
        part = request.query.get("name", "")
        found = [template for template in self._templates.all() if part in template.name]
        limit = int(request.query.get("limit", _PAGE))
        cursors = {"before": "MAZ", "after": "MjQZ"}
        return {"data": [described(each) for each in found[:limit]], "paging": {"cursors": cursors}}

    def _check_waba(self, request: web.Request) -> None:
        self._check(request, MANAGEMENT)
        if request.match_info["waba"] != WABA_ID:
            raise no_such_object(request.match_info["waba"], "get")


def described(template: Template) -> dict[str, Any]:
    """A template in the form of the list."""
    components: list[dict[str, Any]] = [{"type": "BODY", "text": template.body or "Hello"}]
    if template.buttons:
        buttons = [{"type": "QUICK_REPLY", "text": label} for label in template.buttons]
        components.append({"type": "BUTTONS", "buttons": buttons})
    return {
        "name": template.name,
        "parameter_format": "POSITIONAL",
        "components": components,
        "language": template.language,
        "status": template.status,
        "category": "UTILITY",
        "id": str(zlib.crc32(f"{template.name}:{template.language}".encode())),
    }


def _proof(token: str, secret: str) -> str:
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
