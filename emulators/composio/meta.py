"""The meta tools of a session: search, schemas, several executions at once, connections."""

from collections.abc import Callable
from typing import Any

from pydantic import Field, ValidationError

from emulators.composio.accounts import Accounts, Link
from emulators.composio.catalogue import LOGO, Catalogue, described
from emulators.composio.errors import of_shape, tool_not_allowed
from emulators.composio.execute import Execution, answer
from emulators.composio.ids import Ids
from emulators.composio.search import ToolSearch
from emulators.composio.sessions import Session
from emulators.composio.wire import Body, ExecuteTool, Query
from emulators.vendor import RefusedError

MakeLink = Callable[[Session, str], Link]


class SearchArguments(Body):
    queries: list[Query] = Field(min_length=1, max_length=7)
    session: dict[str, Any] | None = None


class SchemasArguments(Body):
    tool_slugs: list[str] = Field(min_length=1)


class MultiExecuteArguments(Body):
    tools: list[ExecuteTool] = Field(min_length=1, max_length=50)
    sync_response_to_workbench: bool | None = None


class ConnectionsArguments(Body):
    toolkits: list[str] = Field(min_length=1)
    reinitiate_all: bool = False


class MetaTools:
    """Like the vendor's, these tools let the model decide what is executed and which links are created."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        accounts: Accounts,
        execution: Execution,
        search: ToolSearch,
        ids: Ids,
        make_link: MakeLink,
        link_url: Callable[[Link], str],
    ) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._execution = execution
        self._search = search
        self._ids = ids
        self._make_link = make_link
        self._link_url = link_url

    def run(self, session: Session, slug: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer {data, error, log_id, result_type}. Raises RefusedError for a tool that the session disables."""
        if slug not in session.meta_tools():
            raise tool_not_allowed(slug)
        log_id = self._ids.new("log")
        try:
            return answer(log_id, data=self._data(session, slug, arguments))
        except ValidationError as error:
            return answer(log_id, error="; ".join(of_shape(error, slug).body["error"]["errors"]))
        except NotImplementedError:
            return answer(log_id, error="The emulator has no sandbox.")

    def _data(self, session: Session, slug: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match slug:
            case "COMPOSIO_SEARCH_TOOLS":
                return self._search.find(session, SearchArguments(**arguments).queries)
            case "COMPOSIO_GET_TOOL_SCHEMAS":
                return self._schemas(SchemasArguments(**arguments).tool_slugs)
            case "COMPOSIO_MULTI_EXECUTE_TOOL":
                tools = MultiExecuteArguments(**arguments).tools
                return {"results": [self._executed(session, tool) for tool in tools]}
            case "COMPOSIO_MANAGE_CONNECTIONS" | "COMPOSIO_WAIT_FOR_CONNECTIONS":
                asked = ConnectionsArguments(**arguments)
                manages = slug == "COMPOSIO_MANAGE_CONNECTIONS"
                return {
                    "results": {
                        toolkit: self._connection(session, toolkit, manages=manages, anew=asked.reinitiate_all)
                        for toolkit in asked.toolkits
                    }
                }
            case _:
                raise NotImplementedError(slug)

    def _schemas(self, slugs: list[str]) -> dict[str, Any]:
        known = [self._catalogue.tools[slug] for slug in slugs if slug in self._catalogue.tools]
        return {
            "tool_schemas": {
                tool.slug: {
                    "tool_slug": tool.slug,
                    "toolkit": tool.toolkit,
                    "description": tool.description,
                    "input_schema": tool.input_schema,
                }
                for tool in known
            },
            "not_found": [slug for slug in slugs if slug not in self._catalogue.tools],
        }

    def _executed(self, session: Session, tool: ExecuteTool) -> dict[str, Any]:
        """Execute one tool. Its failure is part of the answer and does not stop the others."""
        try:
            response = self._execution.run(session, tool.tool_slug, tool.arguments, tool.account)
        except RefusedError as refused:
            return {"tool_slug": tool.tool_slug, "error": str(refused), "response": None}
        return {"tool_slug": tool.tool_slug, "error": response["error"], "response": response["data"]}

    def _connection(self, session: Session, toolkit: str, *, manages: bool, anew: bool) -> dict[str, Any]:
        active = self._accounts.active(session.user_id, toolkit)
        if active and not anew:
            return {"toolkit": toolkit, "status": "active", "connected_account_id": active[-1].id}
        if not manages:
            return {"toolkit": toolkit, "status": "initiated"}
        try:
            link = self._make_link(session, toolkit)
        except RefusedError as refused:
            return {"toolkit": toolkit, "status": "failed", "error_message": str(refused)}
        return {"toolkit": toolkit, "status": "initiated", "redirect_url": self._link_url(link)}


META_TOOLS: dict[str, tuple[str, type[Body] | None]] = {
    "COMPOSIO_SEARCH_TOOLS": ("Find tools for a use case.", SearchArguments),
    "COMPOSIO_GET_TOOL_SCHEMAS": ("Get the schemas of tools.", SchemasArguments),
    "COMPOSIO_MULTI_EXECUTE_TOOL": ("Execute several tools at once.", MultiExecuteArguments),
    "COMPOSIO_MANAGE_CONNECTIONS": ("Connect toolkits.", ConnectionsArguments),
    "COMPOSIO_WAIT_FOR_CONNECTIONS": ("Wait until toolkits are connected.", ConnectionsArguments),
    "COMPOSIO_REMOTE_WORKBENCH": ("Run Python remotely.", None),
    "COMPOSIO_REMOTE_BASH_TOOL": ("Run commands remotely.", None),
}


def describe_meta_tool(slug: str) -> dict[str, Any]:
    description, shape = META_TOOLS[slug]
    schema = shape.model_json_schema() if shape else {"type": "object", "properties": {}}
    return described(
        slug,
        slug.replace("_", " ").capitalize(),
        description,
        schema,
        toolkit={"slug": "composio", "name": "Composio", "logo": f"{LOGO}composio"},
        tags=["openWorldHint"],
        no_auth=True,
    )
