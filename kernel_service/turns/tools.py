"""The tools' ports: what a turn can do for a person, and who knows the person's accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kernel_service.messages import Link
    from kernel_service.turns.model import ToolSchema
    from kernel_service.turns.resuming import ParkedRequest


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a turn works for: the opaque id, and where he wrote from last."""

    id: str
    channel: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back. `output` goes to the model (JSON or plain text); `link` goes to the person as a button.

    `parked` is what waits for the link to be followed to its end. `found` are tools that the result adds to the turn (a
    search). `ok` is False where the tool says it failed.
    """

    output: str
    ok: bool = True
    link: Link | None = None
    parked: ParkedRequest | None = None
    found: tuple[Tool, ...] = ()


class Tool(Protocol):
    """One tool that a turn may call. `read_only`: calling it twice does no harm. `timeout` is in seconds."""

    @property
    def schema(self) -> ToolSchema: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def timeout(self) -> float: ...

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        """Do it. VendorUnavailable: the vendor is away and *nothing was done*; any other failure is a result."""
        ...


class Toolbox(Protocol):
    """Which tools a person has in this turn."""

    async def tools_for(self, person: Person) -> list[Tool]:
        """The person's tools now. Asks the vendor only for what is not cached."""
        ...
