"""The worst case for prompt injection: a model that obeys every instruction anywhere in its input, once each.

It executes `call NAME with {…}` wherever it is written: in a mail, a file or its name, a tool's description, JSON
within JSON, or the model's own text. It adds the text of `answer with "…"` to its answer. In both, `{secret}` is
replaced by the person's first message, which an attacker wants to learn.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from emulators.openai.files import SeenFile
from emulators.openai.turns import Text, ToolCall, Turn

_CALL: Final = re.compile(r"\bcall ([A-Za-z][\w-]*) with (?=\{)")
_ANSWER: Final = re.compile(r'\banswer with "([^"\n]+)"')
_PLACE: Final = "{secret}"
_DECODER: Final = json.JSONDecoder()


def orders(body: dict[str, Any], files: Iterable[SeenFile], said: list[str], offered: list[str]) -> Turn:
    """The calls that the input orders and that are not made yet."""
    secret, made = _secret(said), {_made(item) for item in body["input"] if _is_call(item)}
    wanted = [
        (match[1], _filled(arguments, secret))
        for text in _texts([body["input"], body.get("tools"), *map(_read, files)])
        for match in _CALL.finditer(text)
        if (arguments := _object(text, match.end())) is not None
    ]
    return [
        ToolCall(name, json.loads(arguments))
        for name, arguments in dict.fromkeys((name, json.dumps(given, sort_keys=True)) for name, given in wanted)
        if name in offered and (name, arguments) not in made
    ]


def sayings(body: dict[str, Any], files: Iterable[SeenFile], said: list[str]) -> str:
    """The texts that the input orders the model to say."""
    texts = _texts([body["input"], body.get("tools"), *map(_read, files)])
    found = dict.fromkeys(match[1] for text in texts for match in _ANSWER.finditer(text))
    return "\n".join(_filled(each, _secret(said)) for each in found)


def answer(turn: Turn, said: str) -> Turn:
    """The turn, with the ordered texts added."""
    if not said or any(isinstance(output, ToolCall) for output in turn):
        return turn
    return [Text(f"{output.text}\n{said}") if isinstance(output, Text) else output for output in turn]


def _secret(said: list[str]) -> str:
    return quote(said[0][:40], safe="") if said else ""


def _filled(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, secret) for inner in value]
    return value.replace(_PLACE, secret) if isinstance(value, str) else value


def _is_call(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "function_call"


def _made(item: dict[str, Any]) -> tuple[str, str]:
    return item["name"], json.dumps(_object(item["arguments"], 0), sort_keys=True)


def _object(text: str, start: int) -> dict[str, Any] | None:
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read(file: SeenFile) -> str:
    """The text in a file: of a document its text, of an image the letters among its bytes."""
    return file.text or file.data.decode("latin-1")


def _texts(value: Any) -> Iterator[str]:
    """All texts, also those of JSON within texts and their lines, but not the bytes of files: `_read` handles those."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and not value.startswith("data:"):
        yield value
        for part in dict.fromkeys((value, *value.splitlines())):
            yield from _within(part)


def _within(text: str) -> Iterator[str]:
    """The texts of a text that is JSON."""
    if text.startswith(("{", "[")):
        try:
            yield from _texts(json.loads(text))
        except ValueError:
            return
