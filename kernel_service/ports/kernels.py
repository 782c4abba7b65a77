"""The initial state of a kernel, and the store's port for the leases of kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.ports.turns import HistoryItem


class PackedTurns(NamedTuple):
    """Ended turns in the form in which a kernel keeps them: see `kernels.ended_turns`."""

    outline: bytes = b""
    tokens: int = 0
    segments: tuple[bytes, ...] = ()


NO_TURNS: Final = PackedTurns()


@dataclass(frozen=True, slots=True)
class Activation:
    """The initial state of a kernel. `epoch` is one higher than any earlier epoch of this person.

    The history begins with the `packed` turns, which `history` follows. Its last `open_items` belong to a turn that is
    open. `context_tokens` limits the history that the model is shown; 0: the default limit. `model` is the origin of
    the model that reads the history. `owner_before`: the node that owned the kernel until now, for operators; it is
    this node, dead or draining; empty: none.
    """

    person_id: str
    epoch: int
    history: list[HistoryItem]
    context_tokens: int = 0
    open_items: int = 0
    owner_before: str = ""
    model: str = ""
    packed: PackedTurns = NO_TURNS


@dataclass(frozen=True, slots=True)
class KernelLease:
    """`owner`: the node that owns the kernel and may be dead; empty: none. `epoch`: 0 before the first activation."""

    owner: str
    epoch: int


class KernelStore(Protocol):
    """The lease of each person: which process owns their kernel, under which epoch."""

    async def activate(self, person_id: str, *, owner: str, model: str = "") -> Activation:
        """Take the person's lease (epoch + 1) and read their history, back to what the model needs.

        `model` is the origin of the model, which alone reads its sealed items.

        NotFound PERSON_NOT_FOUND; LeaseLost if they were merged into another.
        """
        ...

    async def release(self, person_id: str, epoch: int) -> None:
        """Release the lease. Does nothing if the lease was lost."""
        ...

    async def release_all(self, leases: Mapping[str, int]) -> None:
        """Like `release`, for person → epoch, in one transaction."""
        ...

    async def lease(self, person_id: str) -> KernelLease:
        """As it is stored. NotFound PERSON_NOT_FOUND."""
        ...
