"""Finds tools for a use case among those that a session allows. As at the vendor, there is always a result."""

import re
from collections.abc import Callable
from typing import Any

from emulators.composio.accounts import Accounts, auth_config, timestamp
from emulators.composio.catalogue import Catalogue, Tool
from emulators.composio.sessions import Session
from emulators.composio.wire import Query

_MOST = 6


class ToolSearch:
    def __init__(self, catalogue: Catalogue, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._clock = clock

    def find(self, session: Session, queries: list[Query]) -> dict[str, Any]:
        found = [self._best(session, query.use_case) for query in queries]
        tools = {tool.slug: tool for best in found for tool in best}
        toolkits = dict.fromkeys(tool.toolkit for tool in tools.values())
        return {
            "success": True,
            "error": None,
            "results": [
                _result(number, query, best) for number, (query, best) in enumerate(zip(queries, found, strict=True), 1)
            ],
            "tool_schemas": {slug: _schema(tool) for slug, tool in tools.items()},
            "toolkit_connection_statuses": [self._status(session, toolkit) for toolkit in toolkits],
            "next_steps_guidance": ["Execute the tools found with the arguments of their schemas."],
            "session": {"id": session.id, "generate_id": False, "instructions": "Reuse this id."},
            "time_info": {
                "current_time_utc": timestamp(self._clock()),
                "current_time_utc_epoch_seconds": int(self._clock()),
                "message": "Times are in UTC.",
            },
        }

    def _best(self, session: Session, use_case: str) -> list[Tool]:
        wanted = set(_words(use_case))
        allowed = [tool for tool in self._catalogue.tools.values() if session.allows(tool)]
        ranked = sorted(allowed, key=lambda tool: -_score(tool, wanted))
        matching = [tool for tool in ranked if _score(tool, wanted)]
        return (matching or ranked)[:_MOST]

    def _status(self, session: Session, slug: str) -> dict[str, Any]:
        toolkit = self._catalogue.toolkits[slug]
        active = self._accounts.active(session.user_id, slug)
        status: dict[str, Any] = {
            "toolkit": slug,
            "description": toolkit.description,
            "has_active_connection": toolkit.no_auth or bool(active),
            "status_message": "Connected." if active or toolkit.no_auth else f"No connection for {slug} yet.",
        }
        if active:
            account = active[-1]
            status["connection_details"] = {"id": account.id, "auth_config": auth_config(account)}
        return status


def _result(number: int, query: Query, best: list[Tool]) -> dict[str, Any]:
    slugs = [tool.slug for tool in best]
    return {
        "index": number,
        "use_case": query.use_case,
        "primary_tool_slugs": slugs[:3],
        "related_tool_slugs": slugs[3:],
        "toolkits": list(dict.fromkeys(tool.toolkit for tool in best)),
    }


def _schema(tool: Tool) -> dict[str, Any]:
    return {
        "tool_slug": tool.slug,
        "toolkit": tool.toolkit,
        "description": tool.description,
        "hasFullSchema": True,
        "input_schema": tool.input_schema,
    }


def _score(tool: Tool, wanted: set[str]) -> int:
    return len(wanted & set(_words(f"{tool.slug} {tool.description}")))


def _words(text: str) -> list[str]:
    """Lower case, without the plural's s, so that "emails" finds "email"."""
    return [word.rstrip("s") for word in re.findall(r"[a-z]{3,}", text.lower().replace("_", " "))]
