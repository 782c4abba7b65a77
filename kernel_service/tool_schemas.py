"""Converts a tool's schema to one that model vendors accept, since one refused schema fails the whole request.

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
"""The most characters in the description of a tool or an argument."""
MOST_PARTS: Final = 2000
"""The most schemas within one schema. Beyond it any value is allowed, and the tool itself checks its arguments."""
MOST_DEPTH: Final = 16
"""The most levels of nested schemas. Beyond it any value is allowed, too."""
NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

MOST_VALUES: Final = 1000
"""The most values of an enumeration. With more of them the tool itself checks its arguments."""
MOST_BYTES: Final = 16_000
"""The most JSON for a tool's arguments, about 4,000 tokens. Beyond it details are left out, and the tool checks."""
MOST_HINT: Final = 60
"""The most characters of values that a description names instead of an enumeration."""
_TYPES: Final[dict[str, str]] = {
    **{name: name for name in ("object", "array", "string", "number", "integer", "boolean", "null")},
    # Not types of JSON Schema, but in use.
    "dict": "object",
    "list": "array",
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    **dict.fromkeys(("file", "date", "datetime"), "string"),
}
_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
# Each keyword whose value is not a schema, and the required type of its value.
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
    """The tool's name for the model: its own if vendors accept it, else a similar, deterministic one."""
    if NAME.fullmatch(slug):
        return slug
    digest = hashlib.sha256(storable_text(slug).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', slug)[:55]}_{digest}"


def description(given: Any) -> str:
    return _shortened(storable_text(given)) if isinstance(given, str) else ""


def parameters(given: Any, tool: str = "") -> dict[str, Any]:
    """A tool's arguments as a JSON Schema of an object that every vendor accepts, in at most MOST_BYTES.

    It allows all values that the given schema allows, and sometimes more, which the tool itself checks. References are
    resolved, and a recursive one allows any value. The log names `tool` if details are left out.
    """
    schema = storable(given)
    for detail in _DETAILS:
        if converted := _within_bounds(schema, detail):
            break
    else:
        converted = _names_and_types(_Conversion(schema, _BARE).whole())
    if detail is not _DETAILS[0]:
        _tell(tool)
    return converted


def _within_bounds(schema: Any, detail: _Detail) -> dict[str, Any] | None:
    try:
        converted = _Conversion(schema, detail).whole()
    except _TooLargeError:
        return None
    return converted if len(to_json(converted)) <= MOST_BYTES else None


@lru_cache(maxsize=1000)
def _tell(tool: str) -> None:
    """Log once for each tool."""
    log.warning("a tool's schema is too large, so details are left out tool=%s", tool)


_BOUNDLESS: Final = 2**63


@dataclass(frozen=True, slots=True)
class _Detail:
    """The level of detail: characters of a description, whether _NOTES, levels; bytes of JSON per rule and in total."""

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
"""Keywords without a separate limit."""


class _TooLargeError(Exception):
    """The schema exceeds its limit."""


class _Conversion:
    """Converts one schema, and resolves references in it."""

    def __init__(self, schema: Any, detail: _Detail) -> None:
        self._root = schema if isinstance(schema, dict) else {}
        self._detail = detail
        self._left = MOST_PARTS
        self._room = detail.room
        self._depth = 0
        self._sizes: dict[int, int] = {}
        self._measured: list[Any] = []

    def whole(self) -> dict[str, Any]:
        converted = self._converted(self._root, ())
        flat = _flattened(converted)
        properties = flat.get("properties", {})
        required = [name for name in flat.get("required", ()) if name in properties]
        kept = {name: value for name, value in flat.items() if name in ("title", "description", "additionalProperties")}
        kept = {"type": "object", "properties": properties} | kept
        return kept | {"required": required} if required else kept

    def _converted(self, schema: Any, within: tuple[str, ...]) -> dict[str, Any]:
        """`within` are the references that enclose it."""
        if self._left <= 0 or self._depth >= self._detail.depth or not isinstance(schema, dict):
            return {}
        self._left -= 1
        self._depth += 1
        converted = self._of_any(*self._resolved(schema, within))
        self._depth -= 1
        return converted

    def _of_any(self, schema: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        converted = self._plain(schema)
        if kind := _type(schema.get("type")):
            converted["type"] = kind
        converted |= self._of_object(schema, within) | self._of_array(schema, kind, within)
        for name in _BRANCHES:
            if isinstance(branches := schema.get(name), list) and branches:
                converted[name] = [self._converted(branch, within) for branch in branches]
        return converted

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Its keywords that are not schemas. A description names some values of an omitted enumeration."""
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
        """The size in bytes of JSON. A value with many references to it is measured once."""
        if id(value) not in self._sizes:
            self._sizes[id(value)] = len(to_json(value))
            self._measured.append(value)  # otherwise another value could get its id
        return self._sizes[id(value)]

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise _TooLargeError

    def _of_object(self, schema: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        if isinstance(properties := schema.get("properties"), dict):
            # `false` means that there is no such property.
            converted["properties"] = {
                name: self._converted(each, within)
                for name, each in properties.items()
                if each is not False and self._left > 0
            }
        self._spend(sum(map(len, converted.get("properties", ()))))
        if isinstance(required := schema.get("required"), list):
            converted["required"] = list(dict.fromkeys(name for name in required[:MOST_PARTS] if isinstance(name, str)))
            self._spend(sum(map(len, converted["required"])))
        further = schema.get("additionalProperties")
        if isinstance(further, bool):
            # Omitted properties are not forbidden.
            converted["additionalProperties"] = further or self._left <= 0
        elif isinstance(further, dict):
            converted["additionalProperties"] = self._converted(further, within)
        return converted

    def _of_array(self, schema: dict[str, Any], kind: str | list[str], within: tuple[str, ...]) -> dict[str, Any]:
        items = schema.get("items")
        if isinstance(items, dict):
            return {"items": self._converted(items, within)}
        # One schema for each position, which has two notations.
        places = items if isinstance(items, list) else schema.get("prefixItems")
        if isinstance(places, list) and places:
            return {"items": {"anyOf": [self._converted(each, within) for each in places]}}
        return {"items": {}} if "array" in kind else {}

    def _resolved(self, schema: dict[str, Any], within: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The target of a reference, together with the keywords next to the reference."""
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
        """The target of a JSON pointer into this schema. Nothing is fetched."""
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
    """The top-level arguments that fit, required ones first. Other arguments are allowed, too."""
    properties, required = schema["properties"], schema.get("required", ())
    kept: dict[str, Any] = {}
    room = MOST_BYTES // 2  # the names of required arguments occur twice
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
    """The arguments of all branches as one object. An argument that every branch requires is required."""
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
    # A branch that is closed still allows the arguments of another branch.
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
    """Some values of an enumeration, in words; empty: it has none, or the first is too long."""
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
"""The most JSON for all tools in one request, about 64,000 tokens, since the conversation needs room, too."""


def size_of(schemas: Iterable[ToolSchema]) -> int:
    """The bytes of JSON of the tools in a request."""
    return sum([each.size for each in schemas])
