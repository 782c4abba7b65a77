"""The history in memory: what it keeps of ended turns and of the open one, and what an append costs."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_service.kernels import packing
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.history import History
from kernel_service.kernels.outline import begins, outline_of
from kernel_service.ports.turns import BUTTON, OUTSIDE, OWN, HistoryItem
from kernel_service.token_counts import utf8_tokens
from kernel_service.turns.context.taint import is_tainted

ORIGIN = "openai:m"


def said(text: str, origin: str = OWN) -> HistoryItem:
    return HistoryItem("input", {"role": "user", "content": text}, origin)


def output(**data: Any) -> HistoryItem:
    return HistoryItem("output", data, ORIGIN)


def result(call_id: str, origin: str = OWN) -> HistoryItem:
    return HistoryItem("result", {"type": "function_call_output", "call_id": call_id, "output": "found"}, origin)


CALL = output(type="function_call", id="fc_1", call_id="c_1", name="look", arguments="{}")
THOUGHT = output(type="reasoning", id="rs_1", encrypted_content="x" * 900)
ANSWER = output(type="message", id="msg_1", role="assistant", content="done")
LINK = HistoryItem("link", {"url": "https://example.org"})
TURN = [said("do it"), THOUGHT, CALL, result("c_1"), LINK, THOUGHT, ANSWER]


def test_ended_turn_has_neither_reasoning_nor_its_ids_nor_links() -> None:
    ended = EndedTurns().followed_by(TURN)
    assert [item.kind for item in ended.items()] == ["input", "output", "result", "output"]
    assert not any(b'"id"' in line or b"reasoning" in line for line in ended.lines())
    assert ended.outline == b"i-or--o", "each item of the journal counts"
    assert ended.tokens == sum(map(utf8_tokens, ended.lines()))


@pytest.mark.parametrize("items", [[said("a"), CALL], [said("a"), result("c_1")]], ids=["call", "result"])
def test_call_without_its_result_is_left_out(items: list[HistoryItem]) -> None:
    ended = EndedTurns().followed_by(items)
    assert [item.kind for item in ended.items()] == ["input"]
    assert ended.outline == b"i-"


def test_result_from_outside_taints_even_if_its_call_is_older_than_the_history() -> None:
    """The model has seen it, and its answer may repeat it."""
    ended = EndedTurns().followed_by([result("c_1", OUTSIDE), ANSWER, said("b"), ANSWER])
    assert ended.outline == b"xoio"
    assert is_tainted(ended.outline)
    assert [orjson.loads(line) for line in ended.since(0).lines()] == [item.data for item in ended.items()]
    assert len(ended.lines()) == 3


def test_only_calls_have_a_call_id_to_answer() -> None:
    odd = [output(type="message", content="a", call_id={"a": 1}), output(type="message", content="b", call_id="c_9")]
    assert len(EndedTurns().followed_by([said("a"), *odd]).lines()) == 3


def test_appended_turns_do_not_change_the_earlier_lines() -> None:
    ended = EndedTurns()
    lines: list[bytes] = []
    for number in range(100):
        ended = ended.followed_by([said(f"{number} " + "x" * 300), ANSWER])
        assert ended.lines()[: len(lines)] == lines
        lines = ended.lines()
    assert ended.lines() == EndedTurns().followed_by([*ended.items()]).lines(), "a new process reads the same bytes"


def test_items_since_a_place_are_the_same_as_before() -> None:
    ended = EndedTurns().followed_by(TURN * 3)
    assert ended.since(len(TURN)) == EndedTurns().followed_by(TURN * 2)
    assert ended.since(len(ended.outline)) == EndedTurns()


def test_open_turn_is_kept_whole_and_dropped_if_superseded() -> None:
    history = History([*TURN, *TURN[:3]], open_items=3)
    assert history.open_items() == TURN[:3]
    assert history.count == len(TURN) + 3
    history.drop(3)
    assert (history.open_items(), history.count) == ([], len(TURN))
    history.drop(0)
    assert history.ended == EndedTurns().followed_by(TURN)


@pytest.mark.parametrize(
    ("item", "letter"),
    [
        (said("a"), b"i"),
        (said("a", f"merged:{OWN}"), b"i"),
        (said("a", BUTTON), b"b"),
        (said("a", f"merged:{BUTTON}"), b"b"),
        (said("a", OUTSIDE), b"I"),
        (said("a", ""), b"I"),
        (said("a", "future"), b"I"),
        (result("c", f"merged:merged:{OUTSIDE}"), b"R"),
        (result("c", ""), b"R"),
        (result("c"), b"r"),
        (ANSWER, b"o"),
        (LINK, b"-"),
        (HistoryItem("approval", {}), b"-"),
        (HistoryItem("file", {}, OUTSIDE), b"-"),
    ],
)
def test_outline(item: HistoryItem, letter: bytes) -> None:
    assert outline_of([item]) == letter


def test_turn_begins_where_inputs_follow_another_kind() -> None:
    outline = b"iIo-boi"
    assert [place for place in range(len(outline)) if begins(outline, place)] == [0, 4, 6]


JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)


@given(st.lists(st.lists(JSON.map(orjson.dumps), max_size=5), max_size=30))
def test_packed_lines_come_back(appends: list[list[bytes]]) -> None:
    segments: tuple[bytes, ...] = ()
    for lines in appends:
        segments = packing.appended(segments, lines)
    assert packing.lines_of(segments) == [line for lines in appends for line in lines]


def test_append_costs_what_it_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    compressed: list[int] = []

    def counted(plain: bytes) -> bytes:
        compressed.append(len(plain))
        return pack(plain)

    pack = packing.packed
    monkeypatch.setattr(packing, "packed", counted)
    segments: tuple[bytes, ...] = ()
    for number in range(1000):
        segments = packing.appended(segments, [b'{"n":%d,"text":"%s"}' % (number, b"x" * 700)])
    assert sum(compressed) / 1000 < 8_000, "bytes for an append of 720 bytes"
    assert len(segments) < 20
