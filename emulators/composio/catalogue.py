"""Toolkits, their tools and their triggers: names, arguments and actions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from emulators.composio.trigger_types import TriggerType
from emulators.composio.workplace import Workplace

Run = Callable[[Workplace, dict[str, Any]], dict[str, Any]]
UNCHANGED: Final = object()
VERSION = "20261101_00"
LOGO = "https://logos.composio.dev/api/"


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Without `is_managed`, people can connect it only through an auth config of the project's own."""

    slug: str
    name: str
    description: str
    no_auth: bool = False
    is_managed: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of a toolkit.

    `tags` holds the hints (readOnlyHint, ...). `properties` maps arguments to their JSON Schemas. `run` acts on the
    data of the account's person, and raises NotDoneError where the provider would decline. `shown`, if given, replaces
    the schema in every list, because real toolkits have some invalid schemas.
    """

    slug: str
    toolkit: str
    name: str
    description: str
    tags: tuple[str, ...]
    properties: dict[str, Any]
    required: tuple[str, ...]
    run: Run
    shown: Any = UNCHANGED

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "title": f"{self.name} request",
            "properties": self.properties,
            "required": list(self.required),
        }


class Catalogue:
    """The toolkits, tools and trigger types of the project. Tests may add to it."""

    def __init__(self, toolkits: list[Toolkit], tools: list[Tool], triggers: list[TriggerType]) -> None:
        self.toolkits = {toolkit.slug: toolkit for toolkit in toolkits}
        self.tools = {tool.slug: tool for tool in tools}
        self.triggers = {trigger.slug: trigger for trigger in triggers}

    def add(self, toolkit: Toolkit, *tools: Tool) -> None:
        self.toolkits[toolkit.slug] = toolkit
        self.tools.update({tool.slug: tool for tool in tools})

    def of(self, toolkit: str) -> Iterator[Tool]:
        return (tool for tool in self.tools.values() if tool.toolkit == toolkit)

    def describe_tool(self, tool: Tool) -> dict[str, Any]:
        toolkit = self.toolkits[tool.toolkit]
        return described(
            tool.slug,
            tool.name,
            tool.description,
            tool.input_schema if tool.shown is UNCHANGED else tool.shown,
            toolkit={"slug": toolkit.slug, "name": toolkit.name, "logo": LOGO + toolkit.slug},
            tags=list(tool.tags),
            no_auth=toolkit.no_auth,
        )

    def describe_toolkit(self, toolkit: Toolkit) -> dict[str, Any]:
        schemes = [] if toolkit.no_auth else ["OAUTH2"]
        return {
            "slug": toolkit.slug,
            "name": toolkit.name,
            "type": "native",
            "auth_schemes": schemes or ["NO_AUTH"],
            "composio_managed_auth_schemes": schemes if toolkit.is_managed else [],
            "no_auth": toolkit.no_auth,
            "is_local_toolkit": False,
            "deprecated": {"toolkitId": toolkit.slug},
            "meta": {
                "description": toolkit.description,
                "logo": LOGO + toolkit.slug,
                "categories": [{"id": "productivity", "name": "productivity"}],
                "tools_count": len(list(self.of(toolkit.slug))),
                "triggers_count": sum(each.toolkit == toolkit.slug for each in self.triggers.values()),
                "version": VERSION,
                "created_at": "2025-01-01T00:00:00.000Z",
                "updated_at": "2026-11-01T00:00:00.000Z",
            },
        }


def described(
    slug: str,
    name: str,
    description: str,
    input_schema: Any,
    *,
    toolkit: dict[str, str],
    tags: list[str],
    no_auth: bool,
) -> dict[str, Any]:
    """A tool in the form of every list of tools."""
    return {
        "slug": slug,
        "name": name,
        "description": description,
        "human_description": description,
        "input_parameters": input_schema,
        "output_parameters": {"type": "object", "properties": {"data": {"type": "object"}}},
        "tags": tags,
        "no_auth": no_auth,
        "scopes": [],
        "scope_requirements": None,
        "is_deprecated": False,
        "version": VERSION,
        "available_versions": [VERSION],
        "toolkit": toolkit,
        "deprecated": {
            "available_versions": [VERSION],
            "displayName": name,
            "is_deprecated": False,
            "toolkit": {"logo": toolkit["logo"]},
            "version": VERSION,
        },
    }
