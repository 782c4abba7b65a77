"""Notices between two boards, and what each counts for operators."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.ports.notices import NodeNotice, NoticeKind
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

WAKE = NodeNotice(NoticeKind.WAKE, "p_1", (12.5,))


class Air:
    """Carries each text to the other board at once."""

    def __init__(self) -> None:
        self.dropped = 0
        self.texts: list[str] = []
        self.hear: Callable[[str], None]
        self.miss: Callable[[], None]

    def send(self, _: str, text: str) -> None:
        self.texts.append(text)

    def receive(self, _: str, handler: Callable[[str], None], missed: Callable[[], None]) -> None:
        self.hear, self.miss = handler, missed


class Pair:
    """A board that sends, and one that receives, 1.5 s later by its clock."""

    def __init__(self) -> None:
        self.air = Air()
        self.here, self.there = NoticeBoard(self.air, Clock(100.0)), NoticeBoard(self.air, Clock(101.5))
        self.there.begin("k_there")
        self.heard: list[NodeNotice] = []
        for kind in NoticeKind:
            self.there.on(kind, self.heard.append)

    def tell(self, notice: NodeNotice) -> None:
        self.here.send("k_there", notice)
        self.air.hear(self.air.texts[-1])


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_notice_arrives_as_it_was_sent(pair: Pair) -> None:
    notices = [WAKE, NodeNotice(NoticeKind.MERGED, "p_1", detail="p_2"), NodeNotice(NoticeKind.KEYS)]
    for notice in notices:
        pair.tell(notice)
    assert pair.heard == notices


def test_notices_are_counted_by_kind(pair: Pair) -> None:
    for notice in (WAKE, WAKE, NodeNotice(NoticeKind.KEYS)):
        pair.tell(notice)
    counted = Counter({NoticeKind.WAKE: 2, NoticeKind.KEYS: 1})
    assert (pair.here.sent, pair.there.received) == (counted, counted)
    assert not pair.here.received


def test_the_lag_is_measured(pair: Pair) -> None:
    pair.tell(WAKE)
    assert pair.there.lag.seconds == 1.5
    assert [count for bound, count in pair.there.lag.cumulative() if bound in {"1.0", "2.0"}] == [0, 1]


def test_a_clock_that_is_behind_measures_none() -> None:
    pair = Pair()
    pair.there = NoticeBoard(pair.air, Clock(50.0))
    pair.there.begin("k_there")
    pair.tell(WAKE)
    assert pair.there.lag.seconds == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        '["wake"]',
        '["other","p_1",[],"",1.0]',
        '["wake","p_1",[],"",null]',
        f'["wake","p_1",[],"",{10**400}]',
        "[" * 7000,
        "\0",
    ],
)
def test_another_text_is_not_counted(pair: Pair, text: str) -> None:
    pair.air.hear(text)
    assert not pair.heard
    assert not pair.there.received
    assert pair.there.lag.seconds == 0.0


def test_an_interruption_is_counted(pair: Pair) -> None:
    looks: list[str] = []
    pair.there.on_missed(lambda: looks.append("looked"))
    pair.air.miss()
    assert (pair.there.interruptions, looks) == (1, ["looked"])


def test_the_drops_of_the_transport_are_shown(pair: Pair) -> None:
    pair.air.dropped = 3
    assert pair.here.dropped == 3


def test_one_node_sends_and_counts_nothing() -> None:
    board = NoticeBoard(None)
    board.begin("k_me")
    board.send_to_all(WAKE)
    assert (board.sent, board.dropped) == (Counter(), 0)
