"""A tool's schema as model vendors take it: a whole request is refused for one that they do not.

Sources: platform.openai.com/docs/guides/function-calling and the refusals that OpenAI's API gives (`schema must have
type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level`, `array schema missing items`,
`string too long. Expected a string with maximum length 1024`).
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kernel_service.storable import storable, storable_text, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.ports.model import ToolSchema

log = logging.getLogger(__name__)

MOST_DESCRIPTION: Final = 1024
"""Characters of a description, a tool's or an argument's."""
MOST_PARTS: Final = 2000
"""Schemas within one schema: beyond it anything is allowed, and the tool itself checks what it is given."""
MOST_DEPTH: Final = 16
"""Schemas in each other: deeper, likewise."""
NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

MOST_VALUES: Final = 1000
"""Values of an enumeration: with more of them the tool itself checks what it is given."""
MOST_BYTES: Final = 16_000
"""Of a tool's arguments as JSON, some 4,000 tokens: beyond it less is said, and the tool itself checks what it gets."""
MOST_HINT: Final = 60
"""Characters of the values that a description names in place of an enumeration."""
_TYPES: Final[dict[str, str]] = {
    **{name: name for name in ("object", "array", "string", "number", "integer", "boolean", "null")},
    # No types of JSON Schema, but found in the wild.
    "dict": "object",
    "list": "array",
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    **dict.fromkeys(("file", "date", "datetime"), "string"),
}
_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
# Each keyword whose value is no schema, and what its value has to be.
_PLAIN: Final[dict[str, type | tuple[type, ...]]] = {
    "description": str,
    "title": str,
    "format": str,
    "pattern": str,
    "enum": list,
    "const": object,
    "default": object,
    "examples": list,
    "minimum": (int, float),
    "maximum": (int, float),
    "exclusiveMinimum": (int, float),
    "exclusiveMaximum": (int, float),
    "multipleOf": (int, float),
    "minLength": int,
    "maxLength": int,
    "minItems": int,
    "maxItems": int,
    "minProperties": int,
    "maxProperties": int,
    "uniqueItems": bool,
}


def model_name(slug: str) -> str:
    """The tool's name for the model: its own if vendors take it, else one like it, the same each time."""
    if NAME.fullmatch(slug):
        return slug
    digest = hashlib.sha256(storable_text(slug).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', slug)[:55]}_{digest}"


def description(given: Any) -> str:
    return _shortened(storable_text(given)) if isinstance(given, str) else ""


def parameters(given: Any, tool: str = "") -> dict[str, Any]:
    """A tool's arguments as a JSON Schema of an object that every vendor takes, in at most MOST_BYTES.

    It allows what the given one allows, and sometimes more: what it cannot say is left to the tool. References are
    resolved, one that leads into itself allows anything. `tool` is named in the log if less is said than was given.
    """
    schema = storable(given)
    for detail in _DETAILS:
        if mended := _within_bounds(schema, detail):
            break
    else:
        mended = _names_and_types(_Mender(schema, _BARE).whole())
    if detail is not _DETAILS[0]:
        _tell(tool)
    return mended


def _within_bounds(schema: Any, detail: _Detail) -> dict[str, Any] | None:
    try:
        mended = _Mender(schema, detail).whole()
    except _TooLargeError:
        return None
    return mended if len(to_json(mended)) <= MOST_BYTES else None


@lru_cache(maxsize=1000)
def _tell(tool: str) -> None:
    """Once for each tool."""
    log.warning("a tool's schema is too large, so the model is told less of it tool=%s", tool)


_BOUNDLESS: Final = 2**63


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is said: characters of a description, whether _NOTES, levels; in bytes of JSON a rule's and of all."""

    description: int = MOST_DESCRIPTION
    notes: bool = True
    rule: int = _BOUNDLESS
    depth: int = MOST_DEPTH
    room: int = 2 * MOST_BYTES


_DETAILS: Final = (
    _Detail(),
    _Detail(notes=False, rule=2000),
    _Detail(notes=False, rule=500, description=200),
    _Detail(notes=False, rule=100, description=100, depth=3),
)
_BARE: Final = _Detail(notes=False, rule=0, description=0, depth=2, room=_BOUNDLESS)
_NOTES: Final[tuple[str, ...]] = ("title", "default", "examples")
_RULES: Final[tuple[str, ...]] = ("enum", "const", "pattern", "format")
"""What has no bound of its own."""


class _TooLargeError(Exception):
    """The schema is above its room."""


class _Mender:
    """Mends one schema, and looks references up in it."""

    def __init__(self, schema: Any, detail: _Detail) -> None:
        self._root = schema if isinstance(schema, dict) else {}
        self._detail = detail
        self._left = MOST_PARTS
        self._room = detail.room
        self._depth = 0
        self._sizes: dict[int, int] = {}
        self._measured: list[Any] = []

    def whole(self) -> dict[str, Any]:
        mended = self._mended(self._root, ())
        flat = _flattened(mended)
        properties = flat.get("properties", {})
        required = [name for name in flat.get("required", ()) if name in properties]
        kept = {name: value for name, value in flat.items() if name in ("title", "description", "additionalProperties")}
        kept = {"type": "object", "properties": properties} | kept
        return kept | {"required": required} if required else kept

    def _mended(self, schema: Any, within: tuple[str, ...]) -> dict[str, Any]:
        """`within` are the references that it stands in."""
        if self._left <= 0 or self._depth >= self._detail.depth or not isinstance(schema, dict):
            return {}
        self._left -= 1
        self._depth += 1
        mended = self._of_any(*self._resolved(schema, within))
        self._depth -= 1
        return mended

    def _of_any(self, schema: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        mended = self._plain(schema)
        if kind := _type(schema.get("type")):
            mended["type"] = kind
        mended |= self._of_object(schema, within) | self._of_array(schema, kind, within)
        for name in _BRANCHES:
            if isinstance(branches := schema.get(name), list) and branches:
                mended[name] = [self._mended(branch, within) for branch in branches]
        return mended

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What is no schema in it. An enumeration that is left out is told by some of its values."""
        plain = {name: value for name, value in schema.items() if name in _PLAIN and _fits(name, value)}
        left_out = set() if self._detail.notes else set(_NOTES)
        left_out |= {name for name in _RULES if name in plain and self._size(plain[name]) > self._detail.rule}
        plain = {name: value for name, value in plain.items() if name not in left_out}
        hint = "" if "enum" in plain else _hint(schema.get("enum"))
        most = self._detail.description - (len(hint) + 1 if hint else 0)
        if said := " ".join(filter(None, (_shortened(plain.pop("description", ""), most), hint))):
            plain["description"] = said
        self._spend(sum(map(self._size, plain.values())))
        return plain

    def _size(self, value: Any) -> int:
        """In bytes of JSON. What many references lead to is measured once."""
        if id(value) not in self._sizes:
            self._sizes[id(value)] = len(to_json(value))
            self._measured.append(value)  # else another value could come to bear its id
        return self._sizes[id(value)]

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise _TooLargeError

    def _of_object(self, schema: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        mended: dict[str, Any] = {}
        if isinstance(properties := schema.get("properties"), dict):
            # `false` says that there is no such property.
            mended["properties"] = {
                name: self._mended(each, within)
                for name, each in properties.items()
                if each is not False and self._left > 0
            }
        self._spend(sum(map(len, mended.get("properties", ()))))
        if isinstance(required := schema.get("required"), list):
            mended["required"] = list(dict.fromkeys(name for name in required[:MOST_PARTS] if isinstance(name, str)))
            self._spend(sum(map(len, mended["required"])))
        further = schema.get("additionalProperties")
        if isinstance(further, bool):
            # What was left out is not forbidden.
            mended["additionalProperties"] = further or self._left <= 0
        elif isinstance(further, dict):
            mended["additionalProperties"] = self._mended(further, within)
        return mended

    def _of_array(self, schema: dict[str, Any], kind: str | list[str], within: tuple[str, ...]) -> dict[str, Any]:
        items = schema.get("items")
        if isinstance(items, dict):
            return {"items": self._mended(items, within)}
        # One schema for each place, as it is said in two ways.
        places = items if isinstance(items, list) else schema.get("prefixItems")
        if isinstance(places, list) and places:
            return {"items": {"anyOf": [self._mended(each, within) for each in places]}}
        return {"items": {}} if "array" in kind else {}

    def _resolved(self, schema: dict[str, Any], within: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What a reference stands for, beside what stands beside it."""
        while "$ref" in schema:
            reference = schema["$ref"]
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            if not isinstance(reference, str) or reference in within:
                return beside, within
            within = (*within, reference)
            found = self._found(reference)
            schema = {**found, **beside} if isinstance(found, dict) else beside
        return schema, within

    def _found(self, reference: str) -> Any:
        """A JSON pointer into this schema; nothing is ever fetched."""
        found: Any = self._root
        if not reference.startswith("#"):
            return None
        for part in filter(None, reference[1:].split("/")):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found


def _names_and_types(schema: dict[str, Any]) -> dict[str, Any]:
    """Of the arguments at the top what fits, those that are required first; others may be given as well."""
    properties, required = schema["properties"], schema.get("required", ())
    kept: dict[str, Any] = {}
    room = MOST_BYTES // 2  # the names of those that are required come twice
    for name in dict.fromkeys((*required, *properties)):
        kind = properties[name].get("type")
        bare = ({"type": kind} if kind else {}) | ({"items": {}} if kind and "array" in kind else {})
        size = len(to_json({name: bare}))
        if size <= room:
            room -= size
            kept[name] = bare
    still = [name for name in required if name in kept]
    return {"type": "object", "properties": kept} | ({"required": still} if still else {})


def _flattened(schema: dict[str, Any]) -> dict[str, Any]:
    """The arguments of all branches as those of one object: what every branch requires is required."""
    flat = dict(schema)
    properties, required = dict(schema.get("properties", {})), list(schema.get("required", ()))
    for name in _BRANCHES:
        branches = [_flattened(branch) for branch in schema.get(name, ())]
        for branch in branches:
            properties = branch.get("properties", {}) | properties
        needed = [branch.get("required", ()) for branch in branches]
        required += [
            each
            for branch in needed
            for each in branch
            if each not in required and (name == "allOf" or all(each in other for other in needed))
        ]
    # Closed in one branch is not closed for the arguments of another.
    if any(name in schema for name in _BRANCHES):
        flat.pop("additionalProperties", None)
    return flat | {"properties": properties, "required": list(dict.fromkeys(required))}


def _type(given: Any) -> str | list[str]:
    """The type, or several; empty: any."""
    named = given if isinstance(given, list) else [given]
    known = (_TYPES.get(each.lower()) for each in named if isinstance(each, str))
    types = list(dict.fromkeys(filter(None, known)))
    return types if len(types) > 1 else "".join(types)


def _fits(keyword: str, value: Any) -> bool:
    expected = _PLAIN[keyword]
    if isinstance(value, bool) and expected is not bool and expected is not object:
        return False  # as `exclusiveMinimum: true` in older drafts
    if keyword == "multipleOf":
        return isinstance(value, int | float) and value > 0
    if expected is int:
        return isinstance(value, int) and value >= 0
    if keyword == "enum":
        return isinstance(value, list) and 0 < len(value) <= MOST_VALUES
    return isinstance(value, expected)


def _hint(values: Any) -> str:
    """Some values of an enumeration, in words; empty: there is none, or the first is long."""
    if not isinstance(values, list):
        return ""
    named = ""
    for value in values:
        if not isinstance(value, str | int | float) or len(str(value)) > MOST_HINT - len(named):
            break
        named += (", " if named else "") + to_json(value).decode()
    return f"One of many values, such as {named}." if named else ""


def _shortened(text: str, most: int = MOST_DESCRIPTION) -> str:
    return text if len(text) <= most else f"{text[: max(most - 1, 0)].rstrip()}…" if most > 0 else ""


MOST_OFFERED_BYTES: Final = 256_000
"""Of all tools in one request as JSON, some 64,000 tokens: what people said needs room beside them."""


def size_of(schemas: Iterable[ToolSchema]) -> int:
    """Bytes of JSON that the tools take in a request."""
    return sum(len(to_json([each.name, each.description, each.parameters])) for each in schemas)
