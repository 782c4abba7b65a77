"""Homes: the same on every node, evenly shared, and stable when a node comes or goes."""

from __future__ import annotations

from collections import Counter

from kernel_service.cluster.homes import home_of

PEOPLE = [f"p_{number}" for number in range(3000)]
NODES = ["k_a", "k_b", "k_c"]


def test_the_order_of_the_nodes_does_not_matter() -> None:
    assert all(home_of(person, NODES) == home_of(person, NODES[::-1]) for person in PEOPLE)


def test_people_are_shared_evenly() -> None:
    shares = Counter(home_of(person, NODES) for person in PEOPLE)
    assert set(shares) == set(NODES)
    assert all(900 < share < 1100 for share in shares.values())


def test_a_node_that_leaves_moves_only_its_own_people() -> None:
    for person in PEOPLE:
        if (home := home_of(person, NODES)) != "k_c":
            assert home_of(person, NODES[:2]) == home


def test_a_node_alone_is_everybodys_home() -> None:
    assert home_of("p_1", ["k_a"]) == "k_a"
