"""Several nodes without a database: each sees the others, and its notices reach them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.node_view import Board, View, node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.nodes import Node
    from kernel_service.ports.notices import NodeNotice


class FakeNode(Board):
    """Fills `Notices`. `view` fills `Cluster`. `channels` returns those of its attached streams.

    A node that is deaf gets no notice.
    """

    def __init__(self, name: str = "n_1", *, is_leader: bool = True) -> None:
        super().__init__()
        self.name = name
        self.view = _View(self)
        self.view.is_leader = is_leader
        self.others: list[FakeNode] = []
        self.channels: Callable[[], list[str]] = list
        self.is_deaf = False

    def send(self, node_id: str, notice: NodeNotice) -> None:
        super().send(node_id, notice)
        for other in self.others:
            if node_id in ("", other.name) and not other.is_deaf:
                other.receive(notice)


class _View(View):
    def __init__(self, of: FakeNode) -> None:
        self._of = of
        super().__init__()
        self.me = of.name

    @property
    def nodes(self) -> Sequence[Node]:
        return [replace(node(each.name), channels=tuple(each.channels())) for each in (self._of, *self._of.others)]

    @nodes.setter
    def nodes(self, nodes: Sequence[Node]) -> None:
        pass


def nodes(count: int) -> list[FakeNode]:
    """Nodes of one cluster. The first one leads."""
    made = [FakeNode(f"n_{number + 1}", is_leader=not number) for number in range(count)]
    for each in made:
        each.others = [other for other in made if other is not each]
    return made
