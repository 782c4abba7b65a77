"""The choice of the stream that carries a call."""

import asyncio
from typing import Any, cast

import pytest

from kernel_client import streams
from kernel_client.streams import Streams


class FakeStream:
    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.is_open, self.is_avoided, self.silent = True, False, False

    def is_silent(self) -> bool:
        return self.silent

    def avoid(self) -> None:
        self.is_avoided = True


@pytest.fixture
async def three() -> tuple[Streams, list[Any]]:
    known, opened = Streams(), [cast("Any", FakeStream(node_id)) for node_id in "abc"]
    for stream in opened:
        known.add(stream)
    return known, opened


def order(known: Streams, node_id: str = "") -> str:
    tried: list[Any] = []
    while (stream := known.best(node_id, tried)) is not None:
        tried.append(stream)
    return "".join(stream.node_id for stream in tried)


async def test_each_stream_is_a_candidate_once_and_the_named_node_the_first(three: tuple[Streams, list[Any]]) -> None:
    known, _ = three
    for node_id in "abc":
        assert order(known, node_id)[0] == node_id
        assert sorted(order(known, node_id)) == ["a", "b", "c"]
    assert {order(known, "gone")[0] for _ in range(9)} == {"a", "b", "c"}
    assert {order(known)[0] for _ in range(9)} == {"a", "b", "c"}


async def test_an_avoided_stream_comes_last_and_a_closed_one_never(three: tuple[Streams, list[Any]]) -> None:
    known, (a, b, c) = three
    a.is_avoided, b.is_open = True, False
    assert order(known, "a") == "ca"
    c.is_open = False
    assert order(known) == "a"
    known.discard(a)
    assert order(known) == ""
    known.discard(b)
    assert order(known) == ""
    c.is_open = True
    assert order(known, "b") == "c"
    known.discard(c)
    assert order(known) == ""


@pytest.mark.parametrize(("silent", "avoided"), [("", ""), ("a", "a"), ("ab", "ab"), ("abc", "")])
async def test_silent_streams_are_avoided_unless_all_are(
    three: tuple[Streams, list[Any]], monkeypatch: pytest.MonkeyPatch, silent: str, avoided: str
) -> None:
    known, opened = three
    for stream in opened:
        stream.silent = stream.node_id in silent
    known._avoid_silent()
    assert "".join(stream.node_id for stream in opened if stream.is_avoided) == avoided


async def test_streams_are_looked_at_while_there_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0)
    known, a, b = Streams(), cast("Any", FakeStream("a")), cast("Any", FakeStream("b"))
    known.add(a)
    assert known._check is None
    known.add(b)
    a.silent = True
    while not a.is_avoided:
        await asyncio.sleep(0)
    known.discard(a)
    while known._check is not None:
        await asyncio.sleep(0)


async def test_people_are_remembered_without_their_ids_and_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_REMEMBERED", 2)
    known = Streams()
    known.remember("whatsapp:+1", "a")
    known.remember("whatsapp:+2", "b")
    known.remember("whatsapp:+2", "")
    known.remember("whatsapp:+1", "c")
    known.remember("whatsapp:+3", "a")
    assert [known.node_of(f"whatsapp:+{number}") for number in (1, 2, 3)] == ["c", "", "a"]
    assert "whatsapp" not in repr(vars(known))
