"""The tools of one turn: those of the person, those that a search found, and those that the model is offered."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service.errors import KernelError, VendorUnavailable
from kernel_service.ports.commands import Command
from kernel_service.tool_schemas import MOST_OFFERED_BYTES, size_of
from kernel_service.turns.calls.refused_tools import MOST_OFFERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.model import ModelRejectedError, ToolSchema
    from kernel_service.ports.tools import Person, Tool, Toolbox
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.calls.refused_tools import OfferedTools
    from kernel_service.turns.limits import TurnLimits

log = logging.getLogger(__name__)

LONGEST_CALL_SECONDS: Final = 75.0
"""The assumed time limit of an interrupted call whose tool is no longer offered."""


@dataclass(slots=True)
class AvailableTools:
    """`unreachable`: the turn has waited long enough for its tools and continues without them."""

    turn: Turn
    person: Person
    toolbox: Toolbox
    offered: OfferedTools
    limits: TurnLimits
    clock: Callable[[], float]
    unreachable: bool = field(init=False, default=False)
    _tools: dict[str, Tool] = field(init=False, default_factory=dict)
    _found: list[str] = field(init=False, default_factory=list)
    _withheld: bool = field(init=False, default=False)

    async def fetch(self, *, approved: Sequence[Approval] = (), found: Sequence[str] = ()) -> None:
        """Get the person's tools, and those of approved calls. VendorUnavailable: the turn must wait for them.

        `found` names the tools of earlier searches.
        """
        self._add(await self._fetched(found))
        if found:
            self._found = [name for name in found if name in self._tools]
            self._leave_out_surplus()
        for approval in approved:
            if tool := await self.toolbox.named(self.person, approval.tool):
                self._tools[tool.schema.name] = tool

    async def _fetched(self, found: Sequence[str]) -> list[Tool]:
        """The turn can still answer without its tools, so their absence must not prevent a reply."""
        # A command of this turn may have changed the person's connections since it was opened.
        known = self.turn.connections if self.turn.messages[0].command is Command.NONE else None
        try:
            return await self.toolbox.tools_for(self.person, known, found)
        except VendorUnavailable:
            if self.clock() - self.turn.started_at < self.limits.toolless_after_seconds:
                raise
        except KernelError:
            raise
        except Exception:
            log.exception("tools cannot be offered person=%s", self.person.id)
        self.unreachable = True
        return []

    def _add(self, tools: Iterable[Tool]) -> None:
        for tool in tools:
            self._tools[tool.schema.name] = tool

    def add_found(self, found: Iterable[Tool]) -> None:
        """Add the tools that a search found. If they exceed the limit of a request, the newest ones stay."""
        new = [tool for tool in found if tool.schema.name not in self._tools]
        self._found += [tool.schema.name for tool in new]
        self._add(new)
        self._leave_out_surplus()

    def _leave_out_surplus(self) -> None:
        while self._found and self._are_too_many():
            del self._tools[self._found.pop(0)]

    def _are_too_many(self) -> bool:
        schemas = [tool.schema for tool in self._tools.values()]
        return len(schemas) > MOST_OFFERED or size_of(schemas) > MOST_OFFERED_BYTES

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def longest_call(self, name: str) -> float:
        """The longest duration of a call of this tool, in seconds."""
        tool = self._tools.get(name)
        return tool.timeout if tool else LONGEST_CALL_SECONDS

    # --- what the model is offered ------------------------------------------------------------------------------

    @property
    def schemas(self) -> list[ToolSchema]:
        """The tools that the next request offers to the model."""
        return [] if self._withheld else self.offered.of([tool.schema for tool in self._tools.values()])

    def leave_out(self, rejected: ModelRejectedError) -> bool:
        """Offer fewer tools after the vendor refused a request because of one. Returns whether fewer are offered."""
        return self.offered.leave_out(rejected)

    def withhold_all(self) -> bool:
        """Offer the model no tools. Returns False if there are none."""
        self._withheld = True
        return bool(self._tools)
