"""Notices between nodes: small hints that spare a poll. Any of them may be lost, so a slow poll is always beneath."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class NoticeKind(StrEnum):
    """The kinds of notices. Each says which of `subject`, `numbers` and `detail` it uses."""

    WAKE = "wake"
    """A person's id: a message of theirs waits, or something that they wait for has come."""
    ENDED = "ended"
    """`numbers`: messages (`seq`) whose turn has ended, for callers that wait."""
    READY = "ready"
    """A channel: it has something to lease, or a lease was settled."""
    TYPING = "typing"
    """A channel, and in `numbers` a message (`seq`) that is being answered."""
    MERGED = "merged"
    """A person's id, and in `detail` the person into whom they were merged."""
    DELETED = "deleted"
    """A person's id: they were deleted, and their key destroyed."""
    RESET = "reset"
    """A person's id: their context in memory is outdated."""
    KEYS = "keys"
    """Stored keys have changed: nothing opened before may be used."""
    REST = "rest"
    """A vendor's queue, and in `numbers` for how many seconds it takes no request."""


@dataclass(frozen=True, slots=True)
class NodeNotice:
    """It names people by our ids only, and contains none of their messages."""

    kind: NoticeKind
    subject: str = ""
    numbers: tuple[float, ...] = ()
    detail: str = ""


class Notices(Protocol):
    """Sending returns at once and never fails. Handlers run in the loop's thread."""

    def send(self, node_id: str, notice: NodeNotice) -> None:
        """Send it to one node."""
        ...

    def send_to_all(self, notice: NodeNotice) -> None:
        """Send it to all other nodes."""
        ...

    def on(self, kind: NoticeKind, handler: Callable[[NodeNotice], None]) -> None:
        """Call `handler` for each notice of this kind that another node sends."""
        ...

    def on_missed(self, handler: Callable[[], None]) -> None:
        """Call `handler` when notices may have been lost: it checks everything that they announce."""
        ...


class NoticeTransport(Protocol):
    """Carries short texts between the nodes of one database."""

    @property
    def dropped(self) -> int:
        """How many texts this node could not send: too long, or the oldest in a full queue."""
        ...

    def send(self, to: str, text: str) -> None:
        """To one node, or to all others if `to` is empty. Returns at once; the text may be lost."""
        ...

    def receive(self, me: str, handler: Callable[[str], None], missed: Callable[[], None]) -> None:
        """Begin to receive, as the node `me`. `missed`: texts may have been lost before this call."""
        ...
