"""Values from vendors, tools and people are stored unchanged or repaired, and never refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from kernel_service.storable import MOST_DEPTH, TOO_DEEP, TOO_MANY, from_json, storable, storable_text, to_json
from tests.odd_values import JSON_VALUES, ODD_TEXT, nested


@dataclass
class Point:
    x: int
    name: str


class Big(IntEnum):
    A = 2**70


class Scan(BaseModel):
    page: bytes


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("half \ud83d", "half \ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\0b", "a\ufffdb"),
        ("a literal \\u0000", "a literal \\u0000"),
        (2**64 - 1, 2**64 - 1),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        ([10**5000], ["[an integer of 16610 bits]"]),
        (Big.A, str(2**70)),
        ([float("inf"), float("-inf"), 2**64], [None, None, str(2**64)]),
        ({1: "a", None: "b", 2.5: "d", 2**70: "e"}, {"1": "a", "null": "b", "2.5": "d", str(2**70): "e"}),
        ({True: 1}, {"true": 1}),
        ({"\ud83d": {"\0": "\0"}}, {"\ufffd": {"\ufffd": "\ufffd"}}),
        (b"plain", "plain"),
        (b"\xff\xfe", "[2 bytes]"),
        ([{"a"}, (1,), frozenset()], [["a"], [1], []]),
        (Point(2**64, "\0"), {"x": "18446744073709551616", "name": "\ufffd"}),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": "2026-01-02T00:00:00Z"}),
        ([Scan(page=b"1"), Scan(page=b"\xff")], [{"page": "1"}, "[a Scan that has no JSON form]"]),
    ],
)
def test_unstorable_values_are_repaired(given: Any, kept: Any) -> None:
    assert storable(given) == kept
    assert orjson.loads(to_json(storable(given))) == kept
    assert to_json(given)


def test_storable_value_stays_the_same_object() -> None:
    value = {"text": "hello 😀", "list": [1, 2.5, None, True, {"deep": "é"}]}
    assert storable(value) is value


@pytest.mark.parametrize("levels", [201, 254, 255, 300, 1000, 1025, 5000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}"), ('["]", {"b": ', "}]")])
def test_depth_is_cut_with_a_note(levels: int, opens: str, closes: str) -> None:
    value = from_json(opens * levels + "1" + closes * levels)
    assert TOO_DEEP in to_json(value).decode()
    # The enclosing levels have room.
    assert storable({"input": [{"output": value}]})


def test_nested_python_value_is_cut() -> None:
    assert TOO_DEEP in to_json(storable(nested(300))).decode()
    assert storable(nested(MOST_DEPTH)) == nested(MOST_DEPTH)


def test_recursive_value_is_cut() -> None:
    one: dict[str, Any] = {}
    one["self"] = one
    two: list[Any] = []
    two += [two, two]
    assert TOO_DEEP in to_json(one).decode()
    assert TOO_MANY in to_json(two).decode()


@pytest.mark.parametrize("written", ["", "[", "{", "nul", '"abc', "[1,]", "[[[[", "[" * 5000, "\ufeff", "{'a': 1}"])
def test_invalid_json_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(written)


@pytest.mark.parametrize("text", ["9" * 40, 'a \\" 12345678901234567890', "AT611904300234573201 \\\\"])
def test_long_digits_within_a_text_are_no_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """IBANs, ids and sealed values have them: the slow reader is not needed."""
    monkeypatch.setattr(json, "loads", None)
    written = f'{{"said": "{text}", "n": [1.5, {2**53}]}}'
    assert from_json(written) == from_json(written.encode()) == orjson.loads(written)


def test_digits_within_a_word_need_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in ids of vendors. To remove the texts of a long answer costs many times what reading it does."""
    monkeypatch.setattr("kernel_service.storable._STRING", None)
    written = f'{{"id": "rs_{1:048x}", "other": "{"9" * 40}", "part": 0.{"1" * 30}, "n": [{2**53}, -1]}}'
    assert from_json(written) == from_json(written.encode()) == orjson.loads(written)


@pytest.mark.parametrize("before", ["", " ", "\t", "\n", "\r", "[", "[1,", "[1, ", '{"a":', '{"a": ', '{"a":\n'])
@pytest.mark.parametrize("sign", ["", "-"])
def test_long_integer_keeps_its_digits_wherever_it_stands(before: str, sign: str) -> None:
    number = sign + "123456789012345678901234567890"
    after = {"[": "]", "{": "}"}.get(before[:1], "")
    assert number in str(from_json(before + number + after))


def test_quotes_without_an_end_are_searched_once() -> None:
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|control"):
        from_json('["' + '\\"' * 200_000 + " 12345678901234567890")


def test_lenient_json_is_read() -> None:
    written = rb'{"half": "\ud83d", "big": 123456789012345678901234567890, "not": NaN, "raw": "' + b'\xff", "huge": '
    read = from_json(written + b"9" * 6000 + b"}")
    assert read == {
        "half": "\ufffd",
        "big": "123456789012345678901234567890",
        "not": None,
        "raw": "\ufffd",
        "huge": "9" * 6000,
    }
    assert from_json(f"[{2**64}, {2**64 - 1}, {10**30}, 1.5]") == [str(2**64), 2**64 - 1, str(10**30), 1.5]


@given(JSON_VALUES)
def test_every_value_is_written_and_read_again(value: Any) -> None:
    kept = storable(value)
    assert orjson.loads(to_json(value)) == orjson.loads(to_json(kept))
    assert b"\\u0000" not in to_json(kept)
    assert orjson.loads(to_json(value, sort_keys=True)) == orjson.loads(to_json(value))


@given(JSON_VALUES)
def test_json_of_any_writer_is_read(value: Any) -> None:
    assert to_json(from_json(json.dumps(value))) == to_json(from_json(json.dumps(value).encode()))


@given(ODD_TEXT)
def test_text_is_changed_only_where_it_must_be(text: str) -> None:
    kept = storable_text(text)
    assert kept.encode().decode() == kept
    assert "\0" not in kept
    if text.isprintable() or (text.isascii() and "\0" not in text):
        assert kept == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_ordinary_text_is_never_changed(text: str) -> None:
    assert storable_text(text) == text
