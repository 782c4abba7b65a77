"""The tools of one turn: what the person has, what a search found, and what the model is offered of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kernel_service.errors import KernelError, VendorUnavailable
from kernel_service.tool_schemas import MOST_OFFERED_BYTES, size_of
from kernel_service.turns.calls.refused_tools import MOST_OFFERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.model import ModelRejectedError, ToolSchema
    from kernel_service.ports.tools import Person, Tool, Toolbox
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.calls.refused_tools import OfferedTools

log = logging.getLogger(__name__)

LONGEST_CALL_SECONDS: Final = 75.0
"""What is assumed of a cut call whose tool is no longer offered."""


class AvailableTools:
    """`unreachable`: the turn goes on without tools. It waits `wait_seconds` for them, from its start."""

    def __init__(  # noqa: PLR0917 - whose tools, and for how long they are waited for
        self,
        turn: Turn,
        person: Person,
        toolbox: Toolbox,
        offered: OfferedTools,
        wait_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.unreachable = False
        self._turn = turn
        self._person = person
        self._toolbox = toolbox
        self._offered = offered
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._tools: dict[str, Tool] = {}
        self._found: list[str] = []
        self._withheld = False

    async def fetch(self, *, approved: Sequence[Approval] = ()) -> None:
        """Get the person's tools, and those of approved calls. VendorUnavailable: wait for them."""
        self._add(await self._fetched())
        named = [await self._toolbox.named(self._person, each.tool) for each in approved]
        self._add(tool for tool in named if tool)

    async def _fetched(self) -> list[Tool]:
        """Without its tools the turn can still answer: their absence must not silence anybody."""
        try:
            return await self._toolbox.tools_for(self._person)
        except VendorUnavailable:
            if self._clock() - self._turn.started_at < self._wait_seconds:
                raise
        except KernelError:
            raise
        except Exception:
            log.exception("tools cannot be offered person=%s", self._person.id)
        self.unreachable = True
        return []

    def _add(self, tools: Iterable[Tool]) -> None:
        self._tools.update({tool.schema.name: tool for tool in tools})

    def add_found(self, found: Iterable[Tool]) -> None:
        """What a search has found. Where a request holds no more, the tools found last stay."""
        new = [tool for tool in found if tool.schema.name not in self._tools]
        self._found += [tool.schema.name for tool in new]
        self._add(new)
        while self._found and self._are_too_many():
            del self._tools[self._found.pop(0)]

    def _are_too_many(self) -> bool:
        schemas = [tool.schema for tool in self._tools.values()]
        return len(schemas) > MOST_OFFERED or size_of(schemas) > MOST_OFFERED_BYTES

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def longest_call(self, name: str) -> float:
        """For how many seconds a call of this tool may be under way."""
        tool = self._tools.get(name)
        return tool.timeout if tool else LONGEST_CALL_SECONDS

    # --- what the model is offered ------------------------------------------------------------------------------

    @property
    def schemas(self) -> list[ToolSchema]:
        """What the model is offered with the next request."""
        return [] if self._withheld else self._offered.of(tool.schema for tool in self._tools.values())

    def leave_out(self, rejected: ModelRejectedError) -> bool:
        """Whether fewer tools are offered from now on, since the vendor refused the last request for one of them."""
        return self._offered.leave_out(rejected)

    def withhold_all(self) -> bool:
        """Offer the model no tools. False: there are none."""
        self._withheld = True
        return bool(self._tools)
