"""Where a person is run: by the owner of their kernel while it lives and stays, otherwise at their home.

Each node looks for its own people who are due, too, so a lost notice costs time only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices


class Kernels(Protocol):
    """The kernels of this node, which a placement wakes. The kernel map implements it."""

    def __contains__(self, person_id: str) -> bool:
        """Whether the person's kernel is in memory, or the person has a task."""
        ...

    def wake(self, person_id: str) -> None: ...

    def wake_at(self, person_id: str, when: float) -> None: ...

    def arrived(self, person_id: str, message: None) -> None: ...

    def outdate(self, person_id: str) -> None: ...


class Placement:
    """Wakes people here, or notifies the node that runs them. `attach` comes before the first wake."""

    def __init__(self, cluster: Cluster, notices: Notices) -> None:
        self.me = cluster.me
        self._cluster = cluster
        self._notices = notices
        self._here: Kernels

    def attach(self, kernels: Kernels) -> None:
        """Run people in these kernels, and wake them on notices of other nodes."""
        self._here = kernels
        self._notices.on(NoticeKind.WAKE, self._woken)
        self._notices.on(NoticeKind.RESET, lambda notice: kernels.outdate(notice.subject))

    @property
    def is_alone(self) -> bool:
        """Whether no other node is in the view."""
        return self._cluster.is_alone

    def is_home(self, person_id: str) -> bool:
        """Whether this node should own the person."""
        return self._cluster.is_alone or self._cluster.home_of(person_id) == self.me

    # --- wakes --------------------------------------------------------------------------------------------------

    def wake(self, person_id: str, *, owner: str = "") -> None:
        """Check the person's messages now. `owner`: the node that owned their kernel just before; empty: unknown."""
        node_id = self._runs(person_id, owner)
        if node_id == self.me:
            self._here.wake(person_id)
        else:
            self.notify(node_id, person_id)

    def arrived(self, person_id: str) -> None:
        """As `wake`, for a message that the service itself put into the inbox."""
        self._here.arrived(person_id, None)
        self.wake(person_id)

    def wake_at(self, person_id: str, when: float, *, owner: str = "") -> None:
        """As `wake`, at `when` (epoch seconds)."""
        node_id = self._runs(person_id, owner)
        if node_id == self.me:
            self._here.wake_at(person_id, when)
        else:
            self.notify(node_id, person_id, when)

    def notify(self, node_id: str, person_id: str, when: float = 0.0) -> None:
        """Make another node check the person's messages."""
        self._notices.send(node_id, NodeNotice(NoticeKind.WAKE, person_id, (when,)))

    def leave_to(self, owner: str, person_id: str) -> None:
        """Make the owner of the person's kernel check their messages.

        A draining owner is not notified: it finishes its attempt and notifies the home, or ends, and the home finds the
        person.
        """
        if not any(node.id == owner and node.is_draining for node in self._cluster.nodes):
            self.notify(owner, person_id)

    def send_home(self, person_id: str, when: float = 0.0) -> None:
        """Make the person's home check their messages, unless it is this node."""
        if not self.is_home(person_id):
            self.notify(self._cluster.home_of(person_id), person_id, when)

    def notify_reset(self, person_id: str) -> None:
        """Notify the others that the person's context was reset. The person's home runs their next turn."""
        self._notices.send_to_all(NodeNotice(NoticeKind.RESET, person_id))

    def _runs(self, person_id: str, owner: str) -> str:
        """The id of the node that runs the person."""
        if self._cluster.is_alone or (not owner and person_id in self._here):
            return self.me
        stays = any(node.id == owner and not node.is_draining for node in self._cluster.nodes)
        return owner if stays else self._cluster.home_of(person_id)

    def _woken(self, notice: NodeNotice) -> None:
        # The foresight of this node lacks the messages that other nodes accepted.
        self._here.arrived(notice.subject, None)
        self._here.wake_at(notice.subject, notice.numbers[0] if notice.numbers else 0.0)
