"""Puts a tool's answer into words, for the rule-based model."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from emulators.openai.wire import FunctionCall

_LINK = re.compile(r"https?://\S+")
_NOT_CONNECTED = re.compile(
    r"\bnot connected\b|\bno longer connected\b|\bno (?:active )?connected account|\bno active connection",
    re.IGNORECASE,
)
_LACKS = re.compile(r"\b([a-z0-9][a-z0-9_-]*) is (?:not|no longer) connected\b")
_ASKED = re.compile(r"\bthe person is asked\b", re.IGNORECASE)
_LONGEST = 600


def not_connected(output: str) -> bool:
    """Whether a tool failed because its account is missing. A mail that it found may contain the same words."""
    answer = _parsed(output)
    return bool(_NOT_CONNECTED.search(answer if isinstance(answer, str) else _problem(answer)))


def lacking(output: str) -> str:
    """The toolkit that an answer says is not connected, or no longer; empty: it names none."""
    named = _LACKS.search(output)
    return named[1] if named else ""


def in_words(call: FunctionCall, output: str) -> str:
    """The answer in words, without links: links are sent as buttons, never as text of the model."""
    answer = _parsed(output)
    problem = _problem(answer)
    if problem:
        return f"That did not work: {_plain(problem)}"
    if call.name == "connect":
        return _connecting(call, output)
    if _ASKED.search(output):
        return "I need your approval for that."
    if isinstance(answer, dict | list):
        return _shown(answer) or f"{call.name} says: {_plain(output)}"
    return f"{call.name} says: {_plain(output)}"


def _shown(answer: dict[str, Any] | list[Any]) -> str:
    """The objects in an answer, or that an action was done; empty: neither."""
    names = list(_names(answer))
    if isinstance(answer, dict) and (answer.get("id") or not any(answer.values())):
        return "Done."
    if _is_list(answer):
        return "I found:\n" + "\n".join(f"• {name}" for name in names) if names else "There is nothing there."
    return f"Done: “{names[0]}”." if names else ""


def task_id(output: str, name: str) -> str:
    """The gid of the task whose name begins with `name`; empty if the answer shows none."""
    answer = _parsed(output)
    tasks = answer.get("data", []) if isinstance(answer, dict) else []
    found = [task for task in tasks if isinstance(task, dict)]
    return next((str(task["gid"]) for task in found if task["name"].lower().startswith(name.lower())), "")


def things(output: str) -> list[str]:
    """The names of the objects in an answer; none if the tool failed."""
    answer = _parsed(output)
    return [] if _problem(answer) else list(_names(answer))


def toolkit_of(call: FunctionCall) -> str:
    """The toolkit that a call is to connect."""
    arguments = _parsed(call.arguments)
    return str(arguments.get("toolkit", "it")) if isinstance(arguments, dict) else "it"


def _connecting(call: FunctionCall, output: str) -> str:
    toolkit = toolkit_of(call).capitalize()
    if re.search(r"\balready connected\b|\bconnected already\b", output, re.IGNORECASE):
        return f"{toolkit} is already connected."
    if re.search(r"\balready given consent\b|\bconsent already\b", output, re.IGNORECASE):
        return f"Please send me the code that the page shows, to connect {toolkit}."
    if re.search(r"\bbutton\b|\blink\b|\bhttps?:", output, re.IGNORECASE):
        return f"Please connect {toolkit} with the button."
    return f"That did not work: {_plain(output)}"


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _problem(answer: Any) -> str:
    """The error in an answer, which is a text or an object with a message."""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("message", error))
    return str(error) if error else ""


def _is_list(answer: Any) -> bool:
    """Whether the answer contains a list of objects at any depth."""
    if isinstance(answer, list):
        return True
    return isinstance(answer, dict) and any(map(_is_list, answer.values()))


def _names(answer: Any) -> Iterator[str]:
    """The names or subjects of the objects in an answer, in their order."""
    if isinstance(answer, list):
        for part in answer:
            yield from _names(part)
    elif isinstance(answer, dict):
        name = answer.get("name") or answer.get("subject")
        if isinstance(name, str):
            yield name
        else:
            for part in answer.values():
                yield from _names(part)


def _plain(text: str) -> str:
    text = _LINK.sub("[link]", text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
