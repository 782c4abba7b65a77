"""The tools' ports: what a turn can do for a person, and who knows the person's accounts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.hints import Hints
    from kernel_service.ports.messages import Link
    from kernel_service.ports.model import ToolSchema
    from kernel_service.ports.resuming import ParkedRequest


OUTCOME_UNKNOWN: Final = "The outcome is unknown: the call may or may not have been done. Check before you repeat it."
"""The output of a call of which nobody knows whether it was done: nothing that changes something follows it."""

WHICH_ACCOUNT: Final = "which_account"
"""An argument beside a tool's own, none of which is called so: which of the person's accounts is meant."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a turn works for: the opaque id, and where they wrote from last."""

    id: str
    channel: str = ""
    address: str = ""


_MIME_TYPE: Final = re.compile(r"[a-z0-9][\w.+-]*/[\w.+-]+", re.ASCII)
_FILENAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{0,100}")


@dataclass(frozen=True, slots=True)
class ToolFile:
    """A file for the person. ValueError: not a `mime_type` as `image/png`, not a plain file name, or no bytes."""

    data: bytes = field(repr=False)
    mime_type: str
    filename: str = ""

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("a file needs bytes")
        if not _MIME_TYPE.fullmatch(self.mime_type):
            raise ValueError("give the MIME type as image/png, in small letters and without parameters")
        if not _FILENAME.fullmatch(self.filename):
            raise ValueError("a file's name has at most 100 characters, no slashes and nothing that cannot be seen")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back. `output` goes to the model (JSON or plain text); `link` goes to the person as a button.

    `parked` is what waits for the link to be followed to its end. `files` go to the person with the turn's answer; the
    model is told that they do, and never sees them. `found` are tools that the result adds to the turn (a search). `ok`
    is False where the tool says it failed. `own`: no word of `output` is anybody else's; any other
    result taints the turn (see taint.py).
    """

    output: str
    ok: bool = True
    link: Link | None = None
    parked: ParkedRequest | None = None
    found: tuple[Tool, ...] = ()
    files: tuple[ToolFile, ...] = ()
    own: bool = False


class UnclearCallError(Exception):
    """The call cannot be made as it is, and nothing was done; `sentence` tells the model why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Tool(Protocol):
    """One tool that a turn may call. `read_only`: calling it twice does no harm. `timeout` is in seconds.

    `asks_first`: whether each call waits for the person's approval, by the word of whoever made the tool; None leaves
    it to the approval policy. `hints`: what its vendor says of it; None: it is our own, or a bot developer's.
    """

    @property
    def schema(self) -> ToolSchema: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def timeout(self) -> float: ...
    @property
    def asks_first(self) -> bool | None: ...
    @property
    def hints(self) -> Hints | None: ...

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:
        """The id of the connection that the call would use now; empty: it needs none. UnclearCallError: which one?"""
        ...

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        """Do it. VendorUnavailable: the vendor is away and *nothing was done*; any other failure is a result."""
        ...


class NeedsNoAccount:
    """The part of a tool that works with no account of the person's."""

    hints = None

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:  # noqa: ARG002
        return ""


class Toolbox(Protocol):
    """Which tools a person has in this turn."""

    async def tools_for(self, person: Person) -> list[Tool]:
        """The person's tools now. Asks the vendor only for what is not cached."""
        ...

    async def readers(self, person: Person, name: str) -> Sequence[Tool]:
        """The person's tools of the same toolkit as the one of that name which only read. Costs what named() costs."""
        ...

    async def named(self, person: Person, name: str) -> Tool | None:
        """The person's tool of that name, be it among those or yet to be searched for; None: they have it no more."""
        ...
