"""Placement: a person is woken at the owner of their kernel, or at their home."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernel_service.cluster.placement import Placement
from kernel_service.ports.notices import NodeNotice, NoticeKind
from tests.node_view import ME, Board, View

OWNER, HOME = "k_owner", "k_home"


class Kernels:
    """Fills `Kernels`: notes the wakes."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, float]] = []
        self.people: set[str] = set()

    def __contains__(self, person_id: str) -> bool:
        return person_id in self.people

    def wake(self, person_id: str) -> None:
        self.woken.append((person_id, 0.0))

    def wake_at(self, person_id: str, when: float) -> None:
        self.woken.append((person_id, when))

    def arrived(self, person_id: str, message: None) -> None: ...

    def outdate(self, person_id: str) -> None: ...


class Node:
    def __init__(self, *nodes: str) -> None:
        self.view, self.board, self.kernels = View(*nodes), Board(), Kernels()
        self.view.homes["p"] = HOME
        self.placement = Placement(self.view, self.board)
        self.placement.attach(self.kernels)

    @property
    def told(self) -> list[str]:
        return [node for node, _ in self.board.told]


@pytest.fixture
def node() -> Node:
    return Node(ME, OWNER, HOME)


def test_a_node_alone_runs_everybody() -> None:
    alone = Node(ME)
    alone.placement.wake("p", owner="k_dead")
    alone.placement.wake_at("p", 7.0)
    assert alone.kernels.woken == [("p", 0.0), ("p", 7.0)]
    assert alone.told == []


def test_the_owner_is_told(node: Node) -> None:
    node.placement.wake_at("p", 7.0, owner=OWNER)
    assert node.board.told == [(OWNER, NodeNotice(NoticeKind.WAKE, "p", (7.0,)))]
    assert node.kernels.woken == []


def test_the_home_is_told_if_no_node_owns_them(node: Node) -> None:
    node.placement.wake("p")
    assert node.told == [HOME]


def test_the_home_is_told_if_the_owner_is_dead(node: Node) -> None:
    node.placement.wake("p", owner="k_dead")
    assert node.told == [HOME]


def test_the_home_is_told_if_the_owner_drains(node: Node) -> None:
    node.view.nodes = [replace(one, is_draining=one.id == OWNER) for one in node.view.nodes]
    node.placement.wake("p", owner=OWNER)
    assert node.told == [HOME]


def test_this_node_runs_its_own(node: Node) -> None:
    node.placement.wake("p", owner=ME)
    assert node.kernels.woken == [("p", 0.0)]


def test_this_node_runs_whom_it_has_in_memory_if_the_owner_is_unknown(node: Node) -> None:
    node.kernels.people.add("p")
    node.placement.wake("p")
    assert node.kernels.woken == [("p", 0.0)]


def test_a_notice_wakes_here_at_its_time(node: Node) -> None:
    node.board.receive(NodeNotice(NoticeKind.WAKE, "p", (7.0,)))
    node.board.receive(NodeNotice(NoticeKind.WAKE, "q"))
    assert node.kernels.woken == [("p", 7.0), ("q", 0.0)]
    assert node.told == []  # a notice is not passed on, so that none circulates
