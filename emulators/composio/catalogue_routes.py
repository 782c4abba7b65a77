"""/tools and /toolkits: the project's catalogue, the same for every caller."""

from typing import Any

from aiohttp import web

from emulators.composio import checks
from emulators.composio.catalogue import Catalogue, Tool
from emulators.composio.errors import tool_not_found, toolkit_not_found
from emulators.composio.paging import page
from emulators.composio.wire import ToolkitsQuery, ToolQuery, ToolsQuery
from emulators.faults import Call
from emulators.vendor import Vendor


class CatalogueRoutes:
    def __init__(self, vendor: Vendor, catalogue: Catalogue) -> None:
        self._vendor = vendor
        self._catalogue = catalogue

    def routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/tools", self._tools),
            ("GET", "/tools/{slug}", self._tool),
            ("GET", "/toolkits", self._toolkits),
            ("GET", "/toolkits/{slug}", self._toolkit),
        ]

    async def _tools(self, request: web.Request, _: Call) -> web.Response:
        asked = checks.query(ToolsQuery, request)
        tools = [tool for tool in self._catalogue.tools.values() if _wanted(tool, asked)]
        return self._vendor.respond(page(tools, asked.cursor, asked.limit, self._catalogue.describe_tool))

    async def _tool(self, request: web.Request, _: Call) -> web.Response:
        checks.query(ToolQuery, request)
        slug = request.match_info["slug"]
        tool = self._catalogue.tools.get(slug)
        if tool is None:
            raise tool_not_found(slug, status=404)
        return self._vendor.respond(self._catalogue.describe_tool(tool))

    async def _toolkits(self, request: web.Request, _: Call) -> web.Response:
        asked = checks.query(ToolkitsQuery, request)
        words = (asked.search or "").lower()
        toolkits = [
            toolkit
            for toolkit in self._catalogue.toolkits.values()
            if words in f"{toolkit.slug} {toolkit.name} {toolkit.description}".lower()
        ]
        if asked.sort_by == "alphabetically":
            toolkits.sort(key=lambda toolkit: toolkit.name)
        return self._vendor.respond(page(toolkits, asked.cursor, asked.limit, self._catalogue.describe_toolkit))

    async def _toolkit(self, request: web.Request, _: Call) -> web.Response:
        toolkit = self._catalogue.toolkits.get(request.match_info["slug"])
        if toolkit is None:
            raise toolkit_not_found(request.match_info["slug"])
        return self._vendor.respond(self._catalogue.describe_toolkit(toolkit))


def _wanted(tool: Tool, asked: ToolsQuery) -> bool:
    """Named slugs override the other filters."""
    if asked.tool_slugs:
        return tool.slug in asked.tool_slugs
    words = (asked.query or asked.search or "").lower()
    return (
        asked.toolkit_slug in (None, tool.toolkit)
        and all(tag in tool.tags for tag in asked.tags)
        and (asked.important != "true" or "important" in tool.tags)
        and words in f"{tool.slug} {tool.name} {tool.description}".lower()
    )
