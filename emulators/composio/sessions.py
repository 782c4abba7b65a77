"""Tool router sessions: their users, and the toolkits, tools and meta tools that they allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulators.composio.accounts import Accounts
from emulators.composio.catalogue import Catalogue, Tool
from emulators.composio.errors import accounts_of_others, refused, session_not_found
from emulators.composio.ids import Ids
from emulators.composio.wire import (
    CreateSession,
    Disable,
    Enable,
    Execute,
    ManageConnections,
    Preload,
    Search,
    Settings,
    TagFilter,
    TaggedTools,
    Workbench,
)


@dataclass(slots=True)
class Session:
    id: str
    user_id: str
    settings: Settings
    version: int = 1

    def allows_toolkit(self, slug: str) -> bool:
        toolkits = self.settings.toolkits
        if isinstance(toolkits, Enable):
            return slug in toolkits.enable
        return not (isinstance(toolkits, Disable) and slug in toolkits.disable)

    def allows(self, tool: Tool) -> bool:
        if not self.allows_toolkit(tool.toolkit):
            return False
        rule = (self.settings.tools or {}).get(tool.toolkit)
        if isinstance(rule, Enable):
            return tool.slug in rule.enable
        if isinstance(rule, Disable):
            return tool.slug not in rule.disable
        return _tagged(tool, rule.tags if isinstance(rule, TaggedTools) else self.settings.tags)

    @property
    def preloaded(self) -> list[str] | str:
        return (self.settings.preload or Preload()).tools

    @property
    def selects_accounts(self) -> bool:
        """Whether a call must name its account if there are several."""
        several = self.settings.multi_account
        return several is not None and bool(several.require_explicit_selection)

    def pinned(self, toolkit: str) -> list[str]:
        return (self.settings.connected_accounts or {}).get(toolkit, [])

    def meta_tools(self) -> Iterator[str]:
        settings = self.settings
        if (settings.search or Search()).enable:
            yield "COMPOSIO_SEARCH_TOOLS"
            yield "COMPOSIO_GET_TOOL_SCHEMAS"
        if (settings.execute or Execute()).enable_multi_execute:
            yield "COMPOSIO_MULTI_EXECUTE_TOOL"
        connections = settings.manage_connections or ManageConnections()
        if connections.enable is not False:
            yield "COMPOSIO_MANAGE_CONNECTIONS"
            if connections.enable_wait_for_connections:
                yield "COMPOSIO_WAIT_FOR_CONNECTIONS"
        if (settings.workbench or Workbench()).enable:
            yield "COMPOSIO_REMOTE_WORKBENCH"
            yield "COMPOSIO_REMOTE_BASH_TOOL"


class Sessions:
    def __init__(self, ids: Ids, catalogue: Catalogue, accounts: Accounts) -> None:
        self._ids = ids
        self._catalogue = catalogue
        self._accounts = accounts
        self._sessions: dict[str, Session] = {}

    def create(self, asked: CreateSession) -> Session:
        session = Session(self._ids.new("trs"), asked.user_id, Settings(**_given(asked, {"user_id"})))
        self._check(session.user_id, session.settings)
        self._sessions[session.id] = session
        return session

    def get(self, session_id: str) -> Session:
        """Raises RefusedError if it does not exist."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise session_not_found(session_id) from None

    def patch(self, session_id: str, asked: Settings) -> Session:
        """Each given block replaces the stored one; null removes it."""
        session = self.get(session_id)
        settings = session.settings.model_copy(update=_given(asked, set()))
        self._check(session.user_id, settings)
        session.settings = settings
        session.version += 1
        return session

    def delete(self, session_id: str) -> None:
        self.get(session_id)
        del self._sessions[session_id]

    def of(self, user_id: str) -> list[Session]:
        return [session for session in self._sessions.values() if session.user_id == user_id]

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def user_of(self, session_id: str) -> str:
        """The user id of a session, or "" if the session does not exist."""
        session = self._sessions.get(session_id)
        return session.user_id if session else ""

    def _check(self, user_id: str, settings: Settings) -> None:
        self._check_slugs(settings)
        preload = settings.preload
        if preload and preload.tools == "all" and not isinstance(settings.toolkits, Enable) and not settings.tools:
            raise _bad('preload.tools "all" needs toolkits.enable, tools or tags that allow something')
        for toolkit, pinned in (settings.connected_accounts or {}).items():
            own = {account.id for account in self._accounts.of(user_id, toolkit)}
            foreign = [account_id for account_id in pinned if account_id not in own]
            if foreign:
                raise accounts_of_others(foreign, user_id)

    def _check_slugs(self, settings: Settings) -> None:
        unknown = [slug for slug in _toolkits_named(settings) if slug not in self._catalogue.toolkits]
        if unknown:
            raise _bad(f"Invalid toolkit slug(s): {', '.join(unknown)}")
        tools = [slug for slug, toolkit in _tools_named(settings) if not self._is_tool(slug, toolkit)]
        if tools:
            raise _bad(f"Invalid tool slug(s): {', '.join(tools)}")

    def _is_tool(self, slug: str, toolkit: str | None) -> bool:
        tool = self._catalogue.tools.get(slug)
        return tool is not None and toolkit in (None, tool.toolkit)


def described(session: Session, url: str) -> dict[str, Any]:
    """A session as create, use and patch show it. `url` is the address of Composio."""
    return {
        "session_id": session.id,
        "config": _config(session),
        "config_version": session.version,
        "mcp": {"type": "http", "url": f"{url}/tool_router/{session.id}/mcp"},
        "tool_router_tools": list(session.meta_tools()),
        "experimental": {},
    }


def _config(session: Session) -> dict[str, Any]:
    """Requests use the words enable and disable; responses use enabled and disabled."""
    settings = session.settings
    connections = settings.manage_connections or ManageConnections()
    workbench = (settings.workbench or Workbench()).model_dump(exclude_none=True)
    for name in ("proxy_execution", "tool_execution"):
        workbench[f"{name}_enabled"] = workbench.pop(f"enable_{name}", True)
    config: dict[str, Any] = {
        "user_id": session.user_id,
        "manage_connections": {
            **connections.model_dump(exclude_none=True, exclude={"enable"}),
            "enabled": connections.enable is not False,
        },
        "workbench": workbench,
        "preload": (settings.preload or Preload()).model_dump(),
        "search": (settings.search or Search()).model_dump(),
        "execute": (settings.execute or Execute()).model_dump(),
        "instant": False,
        "auth_configs": settings.auth_configs or {},
        "connected_accounts": settings.connected_accounts or {},
    }
    if settings.toolkits is not None:
        config["toolkits"] = _past(settings.toolkits.model_dump())
    if settings.tools is not None:
        config["tools"] = {toolkit: _rule(rule) for toolkit, rule in settings.tools.items()}
    if settings.tags is not None:
        config["tags"] = _tags(settings.tags)
    if settings.multi_account is not None:
        config["multi_account"] = settings.multi_account.model_dump(exclude_none=True)
    if settings.proxy_execute is not None:
        config["proxy_execute"] = settings.proxy_execute.model_dump()
    return config


def _rule(rule: Enable | Disable | TaggedTools) -> dict[str, Any]:
    return {"tags": _tags(rule.tags)} if isinstance(rule, TaggedTools) else _past(rule.model_dump())


def _tags(tags: list[Any] | TagFilter) -> dict[str, Any]:
    return _past(tags.model_dump(exclude_none=True)) if isinstance(tags, TagFilter) else {"enabled": tags}


def _past(block: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}d": value for name, value in block.items()}


def _tagged(tool: Tool, tags: list[Any] | TagFilter | None) -> bool:
    """Whether the tool has one of the enabled tags and none of the disabled ones."""
    rule = tags if isinstance(tags, TagFilter) else TagFilter(enable=tags)
    enabled = rule.enable is None or any(tag in tool.tags for tag in rule.enable)
    return enabled and not any(tag in tool.tags for tag in rule.disable or [])


def _given(asked: Settings, without: set[str]) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.model_fields_set - without}


def _toolkits_named(settings: Settings) -> Iterator[str]:
    if settings.toolkits is not None:
        yield from settings.toolkits.enable if isinstance(settings.toolkits, Enable) else settings.toolkits.disable
    yield from settings.tools or {}
    yield from settings.connected_accounts or {}
    yield from settings.auth_configs or {}


def _tools_named(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Each named tool's slug, with the toolkit that it must belong to, if one is named."""
    for toolkit, rule in (settings.tools or {}).items():
        if not isinstance(rule, TaggedTools):
            slugs = rule.enable if isinstance(rule, Enable) else rule.disable
            yield from ((slug, toolkit) for slug in slugs)
    if settings.preload is not None and settings.preload.tools != "all":
        yield from ((slug, None) for slug in settings.preload.tools)


def _bad(message: str) -> Exception:
    return refused(message, slug="ToolRouterV2_BadRequest", code=4300)
