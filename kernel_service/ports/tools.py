"""The tools' ports: the actions of a turn for a person, and the person's accounts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.hints import Hints
    from kernel_service.ports.messages import Link
    from kernel_service.ports.model import ToolSchema
    from kernel_service.ports.resuming import ParkedRequest


OUTCOME_UNKNOWN: Final = "The outcome is unknown: the call may or may not have been done. Check before you repeat it."
"""The output of a call with an unknown outcome. No call with side effects follows it in its step."""

BUILT_IN: Final = frozenset(
    (
        "connect",
        "disconnect",
        "search_tools",
        "remember",
        "forget_fact",
        "create_schedule",
        "list_schedules",
        "delete_schedule",
        "create_trigger",
        "delete_trigger",
    )
)
"""The names of the built-in tools. A bot developer's tool has none of them, and a vendor's has capital letters."""

WHICH_ACCOUNT: Final = "which_account"
"""An extra argument that selects one of the person's accounts. No tool has an argument of this name."""


@dataclass(frozen=True, slots=True)
class Person:
    """The person of a turn: the opaque id, and the chat that they wrote from last.

    A tool also gets the id of its call, and whether words of others may be in its arguments (`tainted`).
    """

    id: str
    channel: str = ""
    address: str = ""
    call_id: str = ""
    tainted: bool = False


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
    """The result of a tool. `output` goes to the model (JSON or plain text); `link` goes to the person as a button.

    `parked` is the request that resumes once the link is completed. `files` go to the person with the turn's answer.
    The model is told so and never sees them. `confirmed` are words that the person reads with the answer, whether the
    model repeats them or not. `found` are tools that the result adds to the turn (a search). `ok` is
    False if the tool reports a failure. `changes_memory`: what is remembered about the person, or where they are, is
    different now. `own`: all words of `output` are the system's own. Any other result taints the
    turn (see taint.py).
    """

    output: str
    ok: bool = True
    link: Link | None = None
    parked: ParkedRequest | None = None
    found: tuple[Tool, ...] = ()
    files: tuple[ToolFile, ...] = ()
    confirmed: str = ""
    own: bool = False
    changes_memory: bool = False


class UnclearCallError(Exception):
    """The call is ambiguous, and nothing was done. `sentence` tells the model why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Tool(Protocol):
    """One tool that a turn may call. `read_only`: calling it twice does no harm. `timeout` is in seconds.

    `asks_first`: whether each call needs the person's approval, as its developer declares; None leaves it to the
    approval policy. `hints` are those of its vendor; None: it is built in, or a bot developer's.
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
        """The id of the connection that the call would use; empty: it needs none.

        UnclearCallError: several match, or the arguments are wrong.
        """
        ...

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:
        """In words for the approval prompt, by the value: those arguments that tell a person nothing by themselves."""
        ...

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        """Make the call. VendorUnavailable: *nothing was done*. Any other failure is a result."""
        ...


class PlainArguments:
    """Mixin for tools whose arguments are plain words, or ids with titles of their vendor (see turns.calls.titles)."""

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:  # noqa: ARG002
        return {}


class NeedsNoAccount(PlainArguments):
    """Mixin for tools that use no account of the person."""

    hints = None

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:  # noqa: ARG002
        return ""


class Toolbox(Protocol):
    """The tools of a person in a turn."""

    async def tools_for(
        self, person: Person, connections: Sequence[Connection] | None = None, found: Sequence[str] = ()
    ) -> list[Tool]:
        """The person's current tools. Requests only uncached tools from the vendor.

        `connections` are the person's, the oldest first; None: they are read from the store. `found` names tools of
        earlier searches, which are offered again.
        """
        ...

    async def readers(self, person: Person, name: str) -> Sequence[Tool]:
        """The person's read-only tools of the same toolkit as the named tool. The cost is that of named()."""
        ...

    async def named(self, person: Person, name: str) -> Tool | None:
        """The person's tool of that name, current or found by a search; None: they no longer have it."""
        ...
