"""Grouping of inbound items by person: an old and a new id belong to one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_gateway.inbound.items import InboundItem, by_person
from whatsapp_gateway.model.updates import Alias, IdentityChange, Message, Sender, Text


def says(who: str) -> Message:
    alias = Alias(who, strong=True)
    return Message("1", f"wamid.{who}", Sender(who, (alias,)), Text("hi"))


def becomes(before: str, after: str) -> IdentityChange:
    return IdentityChange(f"wamid.{before}{after}", Alias(before, strong=True), Alias(after, strong=True))


A, B, C, X = (says(who) for who in "abcx")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], []),
        ([A, X, A], [[A, A], [X]]),
        ([becomes("a", "b"), B, A, X], [[becomes("a", "b"), B, A], [X]]),
        ([C, becomes("b", "c"), X, becomes("a", "b"), A], [[C, becomes("b", "c"), becomes("a", "b"), A], [X]]),
        ([becomes("a", "b"), becomes("x", "y")], [[becomes("a", "b")], [becomes("x", "y")]]),
        ([becomes("a", "b"), becomes("c", "x"), X, becomes("x", "a"), A],
         [[becomes("a", "b"), becomes("c", "x"), X, becomes("x", "a"), A]]),
        ([becomes("a", "b"), becomes("b", "a"), A], [[becomes("a", "b"), becomes("b", "a"), A]]),
    ],
)  # fmt: skip
def test_each_person_has_a_queue(items: list[InboundItem], expected: list[list[InboundItem]]) -> None:
    assert by_person(items) == expected


who = st.sampled_from("abcdefgh")


@given(st.lists(st.one_of(who.map(says), st.tuples(who, who).map(lambda pair: becomes(*pair)))))
def test_nothing_is_lost_or_reordered_and_no_id_is_in_two_queues(items: list[InboundItem]) -> None:
    queues = by_person(items)
    assert sorted(map(id, items)) == sorted(id(item) for queue in queues for item in queue)
    places = {id(item): place for place, item in enumerate(items)}
    seen: set[str] = set()
    for queue in queues:
        assert [places[id(item)] for item in queue] == sorted(places[id(item)] for item in queue)
        ids = {one for item in queue for one in ids_of(item)}
        assert not ids & seen
        seen |= ids


def ids_of(item: InboundItem) -> set[str]:
    if isinstance(item, IdentityChange):
        return {item.previous.user_id, item.current.user_id}
    return {item.sender.user_id}
