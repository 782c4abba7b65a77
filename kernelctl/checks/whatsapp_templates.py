"""The message templates that the gateway sends when a person's 24-hour window is closed.

Source: developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kernelctl.checks.graph import Graph, GraphRefusal
from kernelctl.checks.http import Unreachable
from kernelctl.checks.json_fields import objects_in
from kernelctl.checks.results import Result, Skipped, error, note, ok
from kernelctl.checks.vendor import check_configured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_PARAMETERS: Final = {"WHATSAPP_TEMPLATE": 0, "WHATSAPP_REMINDER_TEMPLATE": 1}
"""How many parameters the body of each has."""
_PLACEHOLDER: Final = re.compile(r"\{\{\w+\}\}")
_WHY: Final = "People who have not written for 24 hours get no answer and no reminder until they write."
_MANAGER: Final = "WhatsApp Manager > Message templates"


async def templates(setup: Setup, http: Http) -> Sequence[Result]:
    check_configured(setup, "WhatsApp")
    named = {setting: name for setting in _PARAMETERS if (name := setup.get(setting))}
    if not named:
        return [note("no template is set: outside the 24-hour window people get nothing", fix=_hint())]
    graph = Graph(setup, http)
    accounts = sorted(set((await graph.accounts()).values()))
    results: list[Result] = []
    for setting, template in named.items():
        for account in accounts:
            results += await _template(graph, account, setting, template)
    return results


def _hint() -> str:
    return f"Create one under {_MANAGER}, and set WHATSAPP_TEMPLATE and WHATSAPP_REMINDER_TEMPLATE."


async def _template(graph: Graph, account: str, setting: str, template: str) -> Sequence[Result]:
    name, _, language = template.partition(":")
    asked = {"name": name, "fields": "name,language,status,components", "limit": "100"}
    try:
        listed = objects_in(await graph.read(f"{account}/message_templates", asked), "data")
    except (GraphRefusal, Unreachable):
        raise Skipped("the access token may not read the account's templates") from None
    languages = {str(each.get("language")): each for each in listed if each.get("name") == name}
    found = languages.get(language)
    if found is None:
        return [_missing(setting, template, sorted(languages))]
    findings = list(_findings(setting, template, found))
    return findings or [ok(f"the template {template} is approved and has the right parameters")]


def _missing(setting: str, template: str, languages: list[str]) -> Result:
    there = f" It exists in {', '.join(languages)}." if languages else ""
    return error(
        f"the template {template} of {setting} does not exist",
        why=_WHY,
        fix=f"Create it under {_MANAGER}, or correct {setting} (name:language).{there}",
    )


def _findings(setting: str, template: str, found: dict[str, Any]) -> Iterator[Result]:
    status = found.get("status")
    if status != "APPROVED":
        yield error(
            f"the template {template} of {setting} is not approved ({status})",
            why=_WHY,
            fix=f"See the reason under {_MANAGER}: wait for the review, or change it and submit it again.",
        )
    components = {str(each.get("type")).upper(): each for each in objects_in(found, "components")}
    expected = _PARAMETERS[setting]
    count = len(_PLACEHOLDER.findall(str(components.get("BODY", {}).get("text", ""))))
    header = len(_PLACEHOLDER.findall(str(components.get("HEADER", {}).get("text", ""))))
    if count != expected or header:
        needed = "one parameter, the reminder's text" if expected else "no parameters"
        yield error(
            f"the template {template} of {setting} has {count + header} parameters: its body must have {needed}",
            why="Meta refuses each send (132000).",
            fix=f"Change it under {_MANAGER}, or name another in {setting}.",
        )
    buttons = objects_in(components.get("BUTTONS"), "buttons")
    if expected and (not buttons or buttons[0].get("type") != "QUICK_REPLY"):
        yield error(
            f"the first button of the template {template} of {setting} is no quick reply",
            why="Meta refuses each send (132018): the reminder is opened by this button.",
            fix=f"Add a quick reply as the first button under {_MANAGER}.",
        )
