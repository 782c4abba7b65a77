"""The nodes of the service, as its streams name them together."""

from kernel.v1 import channel_pb2

from kernel_client.nodes import MOST_NODES, Node, Nodes


def named(*node_ids: str, draining: str = "") -> list[channel_pb2.ServingNode]:
    return [
        channel_pb2.ServingNode(id=node_id, address=f"{node_id}:1", draining=node_id == draining)
        for node_id in node_ids
    ]


def ids(nodes: Nodes) -> list[str]:
    return [node.id for node in nodes.known]


def test_streams_that_disagree_are_believed_together() -> None:
    nodes = Nodes()
    nodes.heard("one", named("a", "b"))
    nodes.heard("other", named("a", "c", draining="a"))
    assert ids(nodes) == ["a", "b", "c"]
    assert nodes.known[0] == Node("a", "a:1", draining=True)
    assert nodes.is_draining("a")
    assert not nodes.is_draining("b")


def test_a_newer_list_replaces_that_of_the_same_stream() -> None:
    nodes = Nodes()
    nodes.heard("one", named("a", "b"))
    nodes.heard("one", named("b"))
    nodes.heard("one", [])  # no change
    assert ids(nodes) == ["b"]


def test_the_last_list_stays_until_another_stream_speaks() -> None:
    nodes = Nodes()
    nodes.heard("one", named("a"))
    nodes.heard("other", named("b"))
    nodes.ended("one")
    assert ids(nodes) == ["b"]
    nodes.ended("other")
    nodes.ended("unknown")
    assert ids(nodes) == ["b"]
    nodes.heard("third", named("c"))
    assert ids(nodes) == ["c"]


def test_each_change_is_told() -> None:
    nodes, told = Nodes(), []
    nodes.on_change = lambda: told.append(ids(nodes))
    nodes.heard("one", named("a"))
    nodes.heard("other", named("b"))
    nodes.ended("one")
    assert told == [["a"], ["a", "b"], ["b"]]


def test_a_list_is_cut_at_a_limit() -> None:
    nodes = Nodes()
    nodes.heard("one", [*named("", "a", "a"), *named(*map(str, range(10_000)))])
    assert len(nodes.known) == MOST_NODES
    assert ids(nodes)[:2] == ["a", "0"]
