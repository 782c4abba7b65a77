"""Kinds of events that an account can be watched for: their settings, and which events fit these settings.

Source: "Triggers" of Composio's documentation; composio-client 2.0.0rc19, types/triggers_type_list_response.py.
Settings and payloads that neither gives follow their patterns.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Config = dict[str, Any]
Data = dict[str, Any]
LEAST_MINUTES = 15
"""Shorter polling intervals are refused with Composio's managed auth."""


def every(_: Config, __: Data) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class TriggerType:
    """`properties` maps settings to their JSON Schemas. `fits` decides whether an event is one of those watched for."""

    slug: str
    toolkit: str
    name: str
    description: str
    kind: Literal["webhook", "poll"]
    properties: dict[str, Any]
    required: tuple[str, ...] = ()
    payload: dict[str, Any] = field(default_factory=dict)
    fits: Callable[[Config, Data], bool] = every
    needs_endpoint: bool = False
    """Whether the project's developer must set up a webhook at the provider first."""

    @property
    def config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "title": f"{self.name} config",
            "properties": self.properties,
            "required": list(self.required),
        }


def fits_query(config: Config, mail: Data) -> bool:
    """A part of Gmail's search: words, "phrases", from:, to:, subject:, each with a minus, and OR between searches."""
    query = str(config.get("query") or "")
    return any(all(_fits(term, mail) for term in _terms(each)) for each in query.split(" OR "))


def _terms(query: str) -> list[str]:
    try:
        return shlex.split(query)
    except ValueError:
        return query.split()


def _fits(term: str, mail: Data) -> bool:
    negated, term = term.startswith("-"), term.removeprefix("-").strip("()").lower()
    operator, colon, value = term.partition(":")
    fields = {"from": "sender", "to": "to", "subject": "subject"}
    if colon and operator not in fields:
        return True  # is:unread, in:inbox, newer_than:1d: true of a mail that arrives
    places = [fields[operator]] if colon else ["sender", "subject", "message_text"]
    found = any((value if colon else term) in str(mail[place]).lower() for place in places)
    return found is not negated


_TEXT = {"type": "string"}
NEW_MAIL = TriggerType(
    "GMAIL_NEW_GMAIL_MESSAGE",
    "gmail",
    "New Gmail Message Received",
    "Triggers when a new message is received in Gmail.",
    "poll",
    {
        "interval": {"type": "number", "default": LEAST_MINUTES, "minimum": LEAST_MINUTES, "description": "Minutes."},
        "labelIds": {**_TEXT, "default": "INBOX", "description": "Only messages with this label."},
        "query": {**_TEXT, "description": "A search as in Gmail, such as from:someone@example.com."},
        "userId": {**_TEXT, "default": "me"},
    },
    payload={"type": "object", "properties": dict.fromkeys(("sender", "subject", "message_text"), _TEXT)},
    fits=fits_query,
)
