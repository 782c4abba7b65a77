"""The shape of requests to Composio, as far as the emulator offers them.

Source: composio-client 2.0.0rc19, types/tool_router/session_*_params.py, types/*_list_params.py,
types/trigger_instance_*_params.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Hint = Literal["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint", "createHint", "updateHint"]
Status = Literal["INITIALIZING", "INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE", "REVOKED"]
Slug = Annotated[str, Field(min_length=1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Enable(Body):
    enable: list[str]


class Disable(Body):
    disable: list[str]


class TagFilter(Body):
    enable: list[Hint] | None = None
    disable: list[Hint] | None = None


class TaggedTools(Body):
    tags: list[Hint] | TagFilter


class ManageConnections(Body):
    enable: bool | None = None
    callback_url: str | None = None
    enable_connection_removal: bool | None = None
    enable_wait_for_connections: bool | None = None


class Workbench(Body):
    enable: bool = True
    auto_offload_threshold: float | None = None
    enable_proxy_execution: bool | None = None
    enable_tool_execution: bool | None = None
    sandbox_size: Literal["standard", "medium", "large", "xlarge"] | None = None


class MultiAccount(Body):
    enable: bool | None = None
    max_accounts_per_toolkit: int | None = Field(default=None, ge=2, le=10)
    require_explicit_selection: bool | None = None


class Preload(Body):
    tools: list[str] | Literal["all"] = []


class Search(Body):
    enable: bool = True


class Execute(Body):
    enable_multi_execute: bool = True


class ProxyExecute(Body):
    enable: bool


class Settings(Body):
    """The common fields of creating and patching a session. `instant` offers only `off`, which is free."""

    toolkits: Enable | Disable | None = None
    tools: dict[str, Enable | Disable | TaggedTools] | None = None
    tags: list[Hint] | TagFilter | None = None
    auth_configs: dict[str, str] | None = None
    connected_accounts: dict[str, list[str]] | None = None
    manage_connections: ManageConnections | None = None
    workbench: Workbench | None = None
    multi_account: MultiAccount | None = None
    proxy_execute: ProxyExecute | None = None
    preload: Preload | None = None
    search: Search | None = None
    execute: Execute | None = None
    instant: Literal[False] | None = None


class CreateSession(Settings):
    user_id: str = Field(min_length=1)


class LinkToolkit(Body):
    toolkit: Slug
    alias: str | None = None
    callback_url: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9+.-]*://")


class ExecuteTool(Body):
    tool_slug: Slug
    arguments: dict[str, Any] = {}
    account: str | None = None
    enable_auto_workbench_offload: bool | None = None


MetaTool = Literal[
    "COMPOSIO_SEARCH_TOOLS",
    "COMPOSIO_GET_TOOL_SCHEMAS",
    "COMPOSIO_MULTI_EXECUTE_TOOL",
    "COMPOSIO_MANAGE_CONNECTIONS",
    "COMPOSIO_WAIT_FOR_CONNECTIONS",
    "COMPOSIO_REMOTE_WORKBENCH",
    "COMPOSIO_REMOTE_BASH_TOOL",
]


class ExecuteMeta(Body):
    slug: MetaTool
    arguments: dict[str, Any] = {}


class Query(Body):
    use_case: str = Field(min_length=1, max_length=1024)
    known_fields: str | None = Field(default=None, max_length=500)


class SearchTools(Body):
    queries: list[Query] = Field(min_length=1, max_length=7)
    model: str | None = None
    search_strategy: Literal["auto", "tool_search"] | None = None


class CompleteAuth(Body):
    user_id: str = Field(min_length=1)
    session_uri: str = Field(min_length=1)


def _split(value: object) -> object:
    """Lists are sent joined by commas. An empty one filters nothing."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


List = BeforeValidator(_split)


class QueryString(BaseModel):
    """Query parameters arrive as text; numbers and booleans are parsed from it."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = None


class QueryList(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)


class AuthConfigsQuery(QueryList):
    toolkit_slug: Annotated[list[str], List] = []
    show_disabled: bool = False
    is_composio_managed: bool | None = None
    search: str | None = None


class SessionToolsQuery(QueryString):
    limit: int = Field(default=20, ge=1, le=500)


class SessionToolkitsQuery(QueryString):
    limit: int = Field(default=20, ge=1, le=50)
    toolkits: Annotated[list[str], List] = []
    is_connected: bool = False
    search: str | None = None


class AccountsQuery(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)
    user_ids: Annotated[list[str], List] = []
    toolkit_slugs: Annotated[list[str], List] = []
    statuses: Annotated[list[Status], List] = []
    auth_config_ids: Annotated[list[str], List] = []
    connected_account_ids: Annotated[list[str], List] = []
    order_by: Literal["created_at", "updated_at"] = "created_at"
    order_direction: Literal["asc", "desc"] = "desc"
    account_type: Literal["PRIVATE", "SHARED", "ALL"] = "PRIVATE"


class DeleteAccountQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revoke_on_delete: bool = False


class ToolsQuery(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)
    toolkit_slug: str | None = None
    tool_slugs: Annotated[list[str], List] = []
    tags: Annotated[list[str], List] = []
    important: Literal["true", "false"] | None = None
    query: str | None = None
    search: str | None = None
    toolkit_versions: str | None = None
    include_deprecated: bool | None = None


class ToolQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str | None = None
    toolkit_versions: str | None = None


class ToolkitsQuery(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)
    category: str | None = None
    managed_by: Literal["composio", "all", "project"] | None = None
    sort_by: Literal["usage", "alphabetically"] | None = None
    search: str | None = None


class TriggerTypesQuery(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)
    toolkit_slugs: Annotated[list[str], List] = []
    toolkit_versions: str | None = None


class ActiveTriggersQuery(QueryString):
    limit: float = Field(default=20, ge=1, le=1000)
    user_ids: Annotated[list[str], List] = []
    connected_account_ids: Annotated[list[str], List] = []
    auth_config_ids: Annotated[list[str], List] = []
    trigger_ids: Annotated[list[str], List] = []
    trigger_names: Annotated[list[str], List] = []
    show_disabled: bool = False


class UpsertTrigger(Body):
    """The vendor also takes a user without an account, and then picks one of their accounts: never what is meant."""

    connected_account_id: str = Field(min_length=1)
    user_id: str | None = None
    trigger_config: dict[str, Any] = {}
    toolkit_versions: str | dict[str, str] | None = None
