"""The project of Composio: its key, webhook, toolkits, and its identity verifier as far as it can be read.

Sources: composio-client 2.0.0rc19, resources/auth/session.py, auth_configs.py, toolkits.py and
webhook_subscriptions.py. No endpoint tells whether the verifier is on.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.http import Reply, Unreachable
from kernelctl.checks.json_fields import object_in, objects_in, texts_in
from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from kernelctl.checks.vendor import check_configured, unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

EVENTS_PATH: Final = "/connect/events"
VERIFY_PATH: Final = "/connect/verify"
EVENTS: Final = ("composio.connected_account.expired", "composio.trigger.disabled", "composio.trigger.message")
_VERSION: Final = "V3"
_NO_CONNECTIONS: Final = "People cannot connect accounts, and the assistant cannot use them."
_NO_EVENTS: Final = "The assistant is not told of new mails and the like, nor that a connection has expired."
_DASHBOARD: Final = "Composio's dashboard > Settings"


class Project:
    """Reads with the project's key."""

    def __init__(self, setup: Setup, http: Http) -> None:
        check_configured(setup, "Composio")
        self._http = http
        self._base = f"{setup.get('COMPOSIO_BASE_URL').rstrip('/')}/api/v3.1"
        self._headers = {"x-api-key": setup.get("COMPOSIO_API_KEY").strip()}

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        return await self._http.get(f"{self._base}{path}", headers=self._headers, params=params)

    async def checked(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer. Raises Skipped if the key's own check has the finding."""
        try:
            reply = await self.get(path, params)
        except Unreachable:
            raise Skipped("see the finding of the API key") from None
        if reply.status == HTTPStatus.FORBIDDEN:
            raise Skipped(f"the API key may not read {path.split('/')[1]}")
        if reply.status != HTTPStatus.OK or not isinstance(reply.json, dict):
            raise Skipped(f"Composio answers with status {reply.status}")
        return dict(reply.json)


async def api_key(setup: Setup, http: Http) -> Sequence[Result]:
    project = Project(setup, http)
    try:
        reply = await project.get("/toolkits", {"limit": "1"})
    except Unreachable as problem:
        return [unreachable("COMPOSIO_BASE_URL", problem, _NO_CONNECTIONS)]
    if reply.status == HTTPStatus.UNAUTHORIZED:
        fix = f"Copy the project's key (not the organization's): {_DASHBOARD} > API keys."
        return [error("the key of COMPOSIO_API_KEY is not valid", why=_NO_CONNECTIONS, fix=fix)]
    if reply.status == HTTPStatus.FORBIDDEN:
        fix = f"Create a key with full access to the project: {_DASHBOARD} > API keys."
        return [error("the key of COMPOSIO_API_KEY may not read toolkits", why=_NO_CONNECTIONS, fix=fix)]
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fix = "Try again in a few minutes. status.composio.dev shows Composio's outages."
        return [warning(f"Composio answers with status {reply.status}", why="The key was not checked.", fix=fix)]
    if reply.status != HTTPStatus.OK or not isinstance(reply.json, dict):
        fix = "Correct COMPOSIO_BASE_URL; without it the default applies."
        return [error("COMPOSIO_BASE_URL does not lead to Composio's API", why=_NO_CONNECTIONS, fix=fix)]
    return [ok(await _named(project))]


async def _named(project: Project) -> str:
    try:
        answer = await project.checked("/auth/session/info")
    except Skipped:
        return "the API key is valid"
    name = object_in(answer, "project").get("name")
    return f"the API key is valid, of the project {name}" if name else "the API key is valid"


async def verifier(setup: Setup, _: Http) -> Sequence[Result]:
    """No endpoint tells whether it is on: what can be said is what the setting means."""
    check_configured(setup, "Composio")
    url = f"{setup.connect_url}{VERIFY_PATH}"
    where = f"{_DASHBOARD}: the project's identity verifier, with {url} as its URL"
    if setup.get("COMPOSIO_VERIFIER").lower() in {"1", "true", "yes", "on"}:
        return [
            note(
                "COMPOSIO_VERIFIER is true: see in the dashboard that the verifier is on, as the API does not tell",
                why="While it is off, no connection becomes active after Approve.",
                fix=f"{where}.",
            )
        ]
    if setup.is_emulator("COMPOSIO_BASE_URL"):
        return [ok("COMPOSIO_VERIFIER is false, and Composio is a server of your own")]
    return [
        note(
            "COMPOSIO_VERIFIER is false: an attacker can send a victim their own link, and get the account",
            why="The code that the connect pages show is then the only protection.",
            fix=f"Turn it on under {where}, and then set COMPOSIO_VERIFIER=true. While only one of the two is on, no "
            "connection succeeds.",
        )
    ]


async def webhook(setup: Setup, http: Http) -> Sequence[Result]:
    project, secret = Project(setup, http), setup.get("COMPOSIO_WEBHOOK_SECRET")
    items = objects_in(await project.checked("/webhook_subscriptions"), "items")
    enter = f"{_DASHBOARD} > Webhook: enter {setup.connect_url}{EVENTS_PATH}"
    if not items:
        if not secret:
            return [
                note("the project has no webhook", why=_NO_EVENTS, fix=f"{enter}, and set COMPOSIO_WEBHOOK_SECRET.")
            ]
        return [
            error("the project has no webhook, but COMPOSIO_WEBHOOK_SECRET is set", why=_NO_EVENTS, fix=f"{enter}.")
        ]
    return _webhook_findings(setup, items[0], enter) or [ok("the project's webhook has the right URL and secret")]


def _webhook_findings(setup: Setup, found: dict[str, Any], enter: str) -> list[Result]:
    secret, findings = setup.get("COMPOSIO_WEBHOOK_SECRET"), []
    if not secret or found.get("secret") != secret:
        text = "is not that of the project's webhook" if secret else "is not set, but the project has a webhook"
        fix = f"Copy the secret from {_DASHBOARD} > Webhook to COMPOSIO_WEBHOOK_SECRET, and restart the service."
        findings.append(error(f"COMPOSIO_WEBHOOK_SECRET {text}", why=f"Every event is refused. {_NO_EVENTS}", fix=fix))
    if str(found.get("webhook_url", "")).rstrip("/") != f"{setup.connect_url}{EVENTS_PATH}":
        text = f"the project's webhook does not lead to CONNECT_PUBLIC_URL with the path {EVENTS_PATH}"
        findings.append(error(text, why=_NO_EVENTS, fix=f"{enter}."))
    if absent := [event for event in EVENTS if event not in texts_in(found, "enabled_events")]:
        text = f"the project's webhook lacks {', '.join(absent)}"
        findings.append(warning(text, why=_NO_EVENTS, fix=f"Enable them: {_DASHBOARD} > Webhook."))
    if found.get("version") != _VERSION:
        text = f"the project's webhook has the version {found.get('version')} instead of {_VERSION}"
        findings.append(error(text, why="Events are not understood.", fix=f"Change it: {_DASHBOARD} > Webhook."))
    return findings


async def toolkits(setup: Setup, http: Http) -> Sequence[Result]:
    """Whether each toolkit of KERNEL_TOOLKITS exists, and people can connect it."""
    project, named = Project(setup, http), setup.entries("KERNEL_TOOLKITS")
    if not named:
        return [note("KERNEL_TOOLKITS is empty: people may connect all of Composio's toolkits")]
    findings = [finding for slug in named if (finding := await _toolkit(project, slug))]
    return findings or [ok(f"all {len(named)} toolkits exist and can be connected")]


async def _toolkit(project: Project, slug: str) -> Result | None:
    try:
        reply = await project.get(f"/toolkits/{slug}")
    except Unreachable:
        raise Skipped("see the finding of the API key") from None
    if reply.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
        return error(
            f"the toolkit {slug} of KERNEL_TOOLKITS does not exist",
            why="Composio refuses each session that names it, so no tool works.",
            fix="Correct its slug: docs.composio.dev/toolkits lists all, in lower case.",
        )
    facts = reply.json
    if reply.status != HTTPStatus.OK or not isinstance(facts, dict):
        raise Skipped(f"Composio answers with status {reply.status}")
    is_free = facts.get("no_auth") or facts.get("auth_schemes") == ["NO_AUTH"]
    if is_free or facts.get("composio_managed_auth_schemes"):
        return None
    configs = objects_in(await project.checked("/auth_configs", {"toolkit_slug": slug}), "items")
    if any(each.get("status") == "ENABLED" for each in configs):
        return None
    return error(
        f"the toolkit {slug} of KERNEL_TOOLKITS has no auth config",
        why="Composio offers no app for it, so people cannot connect it.",
        fix="Create one with your own OAuth app: Composio's dashboard > Auth configs.",
    )
