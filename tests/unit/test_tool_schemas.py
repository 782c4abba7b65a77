"""Schemas of toolkits become schemas that vendors accept. The emulated OpenAI refuses the same ones as OpenAI."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.openai.tool_checks import problem_of
from kernel_service.ports import model
from kernel_service.ports.model import ToolSchema
from kernel_service.tool_schemas import (
    MOST_BYTES,
    MOST_DESCRIPTION,
    MOST_PARTS,
    NAME,
    description,
    model_name,
    parameters,
    size_of,
)
from tests.odd_values import JSON_VALUES, ODD_TEXT, nested

ONE_OF = {"oneOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]}
CIRCLE = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}
TREE = {
    "properties": {"root": {"$ref": "#/$defs/Node"}},
    "$defs": {"Node": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}},
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, {}),
        ([], {}),
        ("text", {}),
        ({"type": None}, {}),
        ({"type": "null"}, {}),
        ({"properties": [1]}, {}),
        (ONE_OF, {"a": {"type": "string"}, "b": {}}),
        ({"anyOf": [ONE_OF, {"type": "null"}]}, {"a": {"type": "string"}, "b": {}}),
        ({"properties": {"a": {"type": "array"}}}, {"a": {"type": "array", "items": {}}}),
        ({"properties": {"a": {"type": ["array", "null"]}}}, {"a": {"type": ["array", "null"], "items": {}}}),
        (
            {"properties": {"a": {"type": "array", "items": [{"type": "string"}]}}},
            {"a": {"type": "array", "items": {"anyOf": [{"type": "string"}]}}},
        ),
        ({"properties": {"a": {"type": "array", "items": True}}}, {"a": {"type": "array", "items": {}}}),
        ({"properties": {"a": True, "b": False, "c": None, "d": 3}}, {"a": {}, "c": {}, "d": {}}),
        ({"properties": {"a": {"type": "str"}}}, {"a": {"type": "string"}}),
        ({"properties": {"a": {"type": "File"}}}, {"a": {"type": "string"}}),
        ({"properties": {"a": {"type": "money", "enum": []}}}, {"a": {}}),
        ({"properties": {"a": {"exclusiveMinimum": True, "minimum": 1}}}, {"a": {"minimum": 1}}),
        ({"properties": {"a": {"type": "string", "required": True}}}, {"a": {"type": "string"}}),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, {"a": {}}),
        ({"properties": {"a": {"$ref": "https://example.com/a.json"}}}, {"a": {}}),
        ({"properties": {"a": {"$ref": 3}}}, {"a": {}}),
        ({"properties": {"a": {"$ref": "#"}}}, {"a": {"properties": {"a": {}}}}),
        (CIRCLE, {"a": {}}),
        (
            {"properties": {"a": {"$ref": "#/$defs/A~1b"}}, "$defs": {"A/b": {"type": "string"}}},
            {"a": {"type": "string"}},
        ),
        (TREE, {"root": {"type": "object", "properties": {"kids": {"type": "array", "items": {}}}}}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"x": {"type": "integer"}}}}}, {"x": {"type": "integer"}}),
        ({"properties": {"a": {"description": 3, "default": None}}}, {"a": {"default": None}}),
        ({"properties": {"a\0": {"description": "half \ud83d"}}}, {"a\ufffd": {"description": "half \ufffd"}}),
        ({"properties": {"a": {"not": {}, "if": {}, "patternProperties": {}}}}, {"a": {}}),
    ],
)  # fmt: skip
def test_refused_schemas_are_converted(given: Any, kept: dict[str, Any]) -> None:
    made = parameters(given)
    assert made == {"type": "object", "properties": kept}
    assert problem_of(made, strict=False) is None


@pytest.mark.parametrize(
    ("given", "required"),
    [
        ({"required": ["a", "a", "gone", 3]}, ["a"]),
        ({"required": "a"}, None),
        ({"required": True}, None),
        ({"oneOf": [{"required": ["a", "b"]}, {"required": ["b"]}]}, ["b"]),
        ({"oneOf": [{"required": ["a"]}, {}]}, None),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, ["a", "b"]),
        ({"required": ["b"], "anyOf": [{"required": ["a"]}]}, ["b", "a"]),
    ],
)
def test_argument_required_by_every_branch_is_required(given: dict[str, Any], required: list[str] | None) -> None:
    assert parameters({"properties": {"a": {}, "b": {}}, **given}).get("required") == required


def test_accepted_schemas_stay_unchanged() -> None:
    good = {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date", "description": "The day."},
            "to": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "how": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}], "default": None},
            "more": {"type": "object", "additionalProperties": {"type": "number"}, "required": ["x"]},
        },
        "title": "Request",
        "additionalProperties": False,
        "required": ["when"],
    }
    assert parameters(good) == good


def test_a_closed_branch_does_not_close_the_whole() -> None:
    closed = {"additionalProperties": False, "oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}
    assert "additionalProperties" not in parameters(closed)


def test_every_part_is_bounded() -> None:
    assert (
        len(parameters({"properties": {"a": {"description": "x" * 50_000}}})["properties"]["a"]["description"]) == 1024
    )
    assert "enum" not in parameters({"properties": {"a": {"enum": list(range(5000))}}})["properties"]["a"]
    assert len(json.dumps(parameters({"properties": {f"p{n}": {} for n in range(50_000)}}))) < 50_000
    levels: dict[str, Any] = {"D0": {"type": "string"}}
    for level in range(1, 40):
        levels[f"D{level}"] = {"properties": {name: {"$ref": f"#/$defs/D{level - 1}"} for name in "abcdef"}}
    began = time.process_time()
    bomb = parameters({"properties": {"x": {"$ref": "#/$defs/D39"}}, "$defs": levels})
    assert len(json.dumps(bomb)) < 200_000
    assert time.process_time() - began < 2


def of_many(part: dict[str, Any], count: int = 100) -> dict[str, Any]:
    return {"properties": {f"p{n}": {"type": "string", **part} for n in range(count)}, "required": ["p0", "p99"]}


LARGE: dict[str, dict[str, Any]] = {
    "enumerations": of_many({"enum": [f"value {n}" for n in range(900)]}),
    "defaults": of_many({"default": "x" * 20_000}),
    "examples": of_many({"examples": ["x" * 1000] * 20}),
    "titles": of_many({"title": "x" * 20_000}),
    "constants": of_many({"const": "x" * 20_000}),
    "patterns": of_many({"pattern": "x" * 20_000}),
    "formats": of_many({"format": "x" * 20_000}),
    "descriptions": of_many({"description": "x" * 20_000}),
    "arguments within arguments": of_many(
        {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(100)}}
    ),
    "what is required within": of_many({"required": [f"name {n}" for n in range(50_000)]}),
    "one that is referred to": {"properties": {f"p{n}": {"$ref": "#/$defs/A"} for n in range(1500)}}
    | {"$defs": {"A": {"type": "string", "enum": ["x" * 100_000] * 9, "pattern": "x" * 1_000_000}}},
    "alternatives": {"anyOf": [of_many({"enum": ["x" * 300, "y" * 300]}) for _ in range(9)]},
}


@pytest.mark.parametrize("given", LARGE.values(), ids=LARGE)
def test_a_large_schema_keeps_names_and_types(given: dict[str, Any]) -> None:
    began = time.process_time()
    made = parameters(given)
    assert time.process_time() - began < 1
    assert len(json.dumps(made)) < MOST_BYTES * 1.2  # json.dumps writes spaces
    assert problem_of(made, strict=False) is None
    assert parameters(made) == made
    names = given.get("properties") or given["anyOf"][0]["properties"]
    if len(names) == 100:
        assert made["properties"].keys() == names.keys()
        assert made["required"] == ["p0", "p99"]
        assert all(each["type"] in ("string", "object") for each in made["properties"].values())


def test_cut_enumeration_restricts_nothing_and_is_described() -> None:
    made = parameters(LARGE["enumerations"])["properties"]["p7"]
    assert made["type"] == "string"
    assert made["description"].startswith('One of many values, such as "value 0", "value 1", "value 2"')
    assert "enum" not in made
    many = {"type": "integer", "enum": list(range(1001)), "description": "x" * MOST_DESCRIPTION}
    made = parameters({"properties": {"a": many}})["properties"]["a"]
    assert made["description"].endswith(
        "… One of many values, such as 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17."
    )
    assert len(made["description"]) == MOST_DESCRIPTION
    odd = {"enum": [{"a": 1}, None] * 900}
    assert parameters({"properties": {"a": odd}})["properties"]["a"] == {}


def test_a_small_enumeration_stays_beside_a_large_one() -> None:
    given = {"a": {"enum": ["x", "y"]}, "b": {"enum": ["x" * 100] * 900}}
    assert parameters({"properties": given})["properties"] == {"a": given["a"], "b": {}}


def test_an_argument_may_be_named_as_a_keyword() -> None:
    given = {name: {"type": "string"} for name in ("title", "default", "enum", "examples", "description", "const")}
    made = parameters({"properties": given | {"large": {"default": "x" * 50_000}}})
    assert made["properties"] == given | {"large": {}}


def test_of_too_many_arguments_the_required_stay() -> None:
    names = [f"{'x' * 60}{n}" for n in range(1900)]
    made = parameters({"properties": {name: {"type": "array"} for name in names}, "required": names[-3:]})
    assert made["required"] == names[-3:]
    assert made["properties"][names[-1]] == {"type": "array", "items": {}}
    assert 0 < len(json.dumps(made)) < MOST_BYTES
    assert "additionalProperties" not in made


def test_omitted_arguments_are_not_forbidden() -> None:
    many = {"properties": {f"p{n}": {} for n in range(3000)}, "additionalProperties": False}
    assert parameters(many).get("additionalProperties", True)
    short = {"properties": {f"{n:x}": {} for n in range(MOST_PARTS)}, "additionalProperties": False}
    assert parameters(short).get("additionalProperties", True)


def test_a_large_schema_is_logged_once_for_its_tool(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        parameters(LARGE["defaults"], "LOGGED_ONCE")
        parameters({}, "SMALL")
    assert [record.getMessage().rpartition("tool=")[2] for record in caplog.records] == ["LOGGED_ONCE"]


def test_depth_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"properties": {"a": deep}}
    assert problem_of(parameters(deep), strict=False) is None
    assert problem_of(parameters({"properties": {"a": {"default": nested(300)}}}), strict=False) is None


KEYWORDS = ("type", "properties", "items", "required", "enum", "$ref", "$defs", "anyOf", "oneOf", "allOf", "not")
OTHER_KEYWORDS = ("description", "minimum", "pattern", "additionalProperties", "prefixItems")
VALUES = ("object", "array", "string", "#/$defs/a", "#", "a")
SCHEMA_WORDS = st.sampled_from((*KEYWORDS, *OTHER_KEYWORDS, *VALUES))
SCHEMAS = st.recursive(
    st.one_of(SCHEMA_WORDS, st.none(), st.booleans(), st.integers()),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(SCHEMA_WORDS, values, max_size=5),
    max_leaves=30,
)


@given(st.one_of(SCHEMAS, JSON_VALUES))
def test_vendor_accepts_every_converted_schema(described: Any) -> None:
    made = parameters(described)
    assert problem_of(made, strict=False) is None
    assert parameters(made) == made


@pytest.mark.parametrize("slug", ["A.B", "X" * 80, "with space", "ÄÖÜ", "", "a\ud83d", "GMAIL_SEND/EMAIL"])
def test_a_name_that_vendors_refuse_becomes_one_like_it(slug: str) -> None:
    assert NAME.fullmatch(model_name(slug))
    assert model_name(slug) == model_name(slug)
    assert model_name("A.B") != model_name("A/B")


@given(ODD_TEXT)
def test_every_name_and_description_can_be_sent(text: str) -> None:
    assert NAME.fullmatch(model_name(text))
    assert len(description(text).encode().decode()) <= MOST_DESCRIPTION


def test_a_good_name_and_description_stay() -> None:
    assert model_name("GMAIL_SEND_EMAIL") == "GMAIL_SEND_EMAIL"
    assert description("Send.") == "Send."
    assert description(None) == description({"a": 1}) == ""
    assert len(description("x" * 5000)) == MOST_DESCRIPTION


def test_a_tool_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = [ToolSchema(name, "Does it.", {"type": "object"}) for name in ("one", "two")]
    assert size_of(tools) == len(b'["one","Does it."]{"type":"object"}') * 2
    monkeypatch.setattr(model, "to_json", None)
    assert size_of(tools) == sum(tool.size for tool in tools)
