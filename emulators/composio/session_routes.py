"""/tool_router/session: a person's session, and the calls within it."""

from typing import Any

from aiohttp import web

from emulators.composio import checks
from emulators.composio.accounts import Accounts, Link, auth_config, timestamp
from emulators.composio.catalogue import LOGO, Catalogue, Tool, Toolkit
from emulators.composio.consent import Consent
from emulators.composio.errors import refused, toolkit_not_allowed, toolkit_not_found
from emulators.composio.execute import Execution
from emulators.composio.ids import Ids
from emulators.composio.meta import META_TOOLS, MetaTools, describe_meta_tool
from emulators.composio.paging import page
from emulators.composio.search import ToolSearch
from emulators.composio.sessions import Session, Sessions, described
from emulators.composio.wire import (
    CreateSession,
    ExecuteMeta,
    ExecuteTool,
    LinkToolkit,
    SearchTools,
    SessionToolkitsQuery,
    SessionToolsQuery,
    Settings,
)
from emulators.effects import Effects
from emulators.faults import Call
from emulators.vendor import Vendor

_ONE = "/tool_router/session/{session_id}"


class SessionRoutes:
    """Effects: session_created, link_created (person: the user id) and reserved_user_id."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        sessions: Sessions,
        accounts: Accounts,
        catalogue: Catalogue,
        execution: Execution,
        search: ToolSearch,
        consent: Consent,
        effects: Effects,
        ids: Ids,
    ) -> None:
        self._vendor = vendor
        self._sessions = sessions
        self._accounts = accounts
        self._catalogue = catalogue
        self._execution = execution
        self._search = search
        self._consent = consent
        self._effects = effects
        self._meta = MetaTools(
            catalogue=catalogue,
            accounts=accounts,
            execution=execution,
            search=search,
            ids=ids,
            make_link=self.make_link,
            link_url=consent.url,
        )

    def routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("POST", "/tool_router/session", self._create),
            ("GET", _ONE, self._use),
            ("PATCH", _ONE, self._patch),
            ("DELETE", _ONE, self._delete),
            ("GET", f"{_ONE}/tools", self._tools),
            ("GET", f"{_ONE}/toolkits", self._toolkits),
            ("POST", f"{_ONE}/link", self._link),
            ("POST", f"{_ONE}/execute", self._execute),
            ("POST", f"{_ONE}/execute_meta", self._execute_meta),
            ("POST", f"{_ONE}/search", self._find),
        ]

    def make_link(
        self, session: Session, toolkit: str, alias: str | None = None, callback_url: str | None = None
    ) -> Link:
        """Create a link for the person of the session. Without a callback_url, the session's one applies."""
        known = self._catalogue.toolkits.get(toolkit)
        if known is None:
            raise toolkit_not_found(toolkit)
        if not session.allows_toolkit(toolkit):
            raise toolkit_not_allowed(toolkit)
        if known.no_auth:
            message = f"Toolkit {toolkit} does not require authentication."
            raise refused(message, slug="ToolRouterV2_ToolkitsIsNoAuth", code=4326)
        connections = session.settings.manage_connections
        fallback = connections.callback_url if connections is not None else None
        link = self._accounts.link(session.user_id, toolkit, alias, callback_url or fallback)
        self._effects.record(
            "link_created",
            person=session.user_id,
            key=link.token,
            session=session.id,
            toolkit=toolkit,
            account=link.account.id,
        )
        return link

    async def _create(self, _: web.Request, call: Call) -> web.Response:
        if call.body.get("user_id") in checks.RESERVED_USER_IDS:
            self._effects.record("reserved_user_id", person=call.body["user_id"], key=call.path)
        session = self._sessions.create(checks.body(CreateSession, call.body))
        self._effects.record("session_created", person=session.user_id, key=session.id)
        return self._shown(session, 201)

    async def _use(self, request: web.Request, _: Call) -> web.Response:
        return self._shown(self._session(request))

    async def _patch(self, request: web.Request, call: Call) -> web.Response:
        session = self._session(request)
        return self._shown(self._sessions.patch(session.id, checks.body(Settings, call.body)))

    async def _delete(self, request: web.Request, _: Call) -> web.Response:
        session = self._session(request)
        self._sessions.delete(session.id)
        return self._vendor.respond({"session_id": session.id, "deleted": True})

    async def _tools(self, request: web.Request, _: Call) -> web.Response:
        session = self._session(request)
        asked = checks.query(SessionToolsQuery, request)
        preloaded = session.preloaded
        app_tools = [
            tool
            for tool in self._catalogue.tools.values()
            if session.allows(tool) and (preloaded == "all" or tool.slug in preloaded)
        ]
        tools: list[str | Tool] = [*session.meta_tools(), *app_tools]
        return self._vendor.respond(page(tools, asked.cursor, asked.limit, self._describe))

    async def _toolkits(self, request: web.Request, _: Call) -> web.Response:
        session = self._session(request)
        asked = checks.query(SessionToolkitsQuery, request)
        toolkits = [
            toolkit
            for toolkit in self._catalogue.toolkits.values()
            if (toolkit.slug in asked.toolkits if asked.toolkits else session.allows_toolkit(toolkit.slug))
            and (asked.search or "").lower() in f"{toolkit.slug} {toolkit.name} {toolkit.description}".lower()
            and (not asked.is_connected or self._accounts.active(session.user_id, toolkit.slug))
        ]
        return self._vendor.respond(
            page(toolkits, asked.cursor, asked.limit, lambda toolkit: self._state(session, toolkit))
        )

    async def _link(self, request: web.Request, call: Call) -> web.Response:
        session = self._session(request)
        asked = checks.body(LinkToolkit, call.body)
        link = self.make_link(session, asked.toolkit, asked.alias, asked.callback_url)
        answer = {"link_token": link.token, "redirect_url": self._consent.url(link)}
        return self._vendor.respond({**answer, "connected_account_id": link.account.id}, 201)

    async def _execute(self, request: web.Request, call: Call) -> web.Response:
        session = self._session(request)
        asked = checks.body(ExecuteTool, call.body)
        if asked.tool_slug in META_TOOLS:
            return self._vendor.respond(self._meta.run(session, asked.tool_slug, asked.arguments))
        result = self._execution.run(session, asked.tool_slug, asked.arguments, asked.account)
        return self._vendor.respond(result)

    async def _execute_meta(self, request: web.Request, call: Call) -> web.Response:
        session = self._session(request)
        asked = checks.body(ExecuteMeta, call.body)
        return self._vendor.respond(self._meta.run(session, asked.slug, asked.arguments))

    async def _find(self, request: web.Request, call: Call) -> web.Response:
        session = self._session(request)
        asked = checks.body(SearchTools, call.body)
        return self._vendor.respond(self._search.find(session, asked.queries))

    def _session(self, request: web.Request) -> Session:
        return self._sessions.get(request.match_info["session_id"])

    def _shown(self, session: Session, status: int = 200) -> web.Response:
        return self._vendor.respond(described(session, self._vendor.base_url), status)

    def _describe(self, tool: str | Tool) -> dict[str, Any]:
        return describe_meta_tool(tool) if isinstance(tool, str) else self._catalogue.describe_tool(tool)

    def _state(self, session: Session, toolkit: Toolkit) -> dict[str, Any]:
        """A toolkit with the person's account there. An active account takes precedence over a newer inactive one."""
        state: dict[str, Any] = {
            "slug": toolkit.slug,
            "name": toolkit.name,
            "enabled": session.allows_toolkit(toolkit.slug),
            "is_no_auth": toolkit.no_auth,
            "composio_managed_auth_schemes": [] if toolkit.no_auth else ["OAUTH2"],
            "meta": {"description": toolkit.description, "logo": LOGO + toolkit.slug},
            "connected_account": None,
        }
        accounts = self._accounts.of(session.user_id, toolkit.slug)
        best = max(accounts, key=lambda account: account.status == "ACTIVE", default=None)
        if best is not None:
            state["connected_account"] = {
                "id": best.id,
                "user_id": best.user_id,
                "status": best.status,
                "created_at": timestamp(best.created_at),
                "auth_config": auth_config(best),
            }
        return state
