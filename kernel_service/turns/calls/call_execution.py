"""One call of a tool: an intent before a call with side effects, a time limit, and a result in every case."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.tools import OUTCOME_UNKNOWN, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import FunctionCall
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)


def own_result(sentence: str) -> ToolResult:
    """The result of a call without output: its outcome, in our own words."""
    return ToolResult(sentence, ok=False, own=True)


@dataclass(frozen=True, slots=True)
class CallExecution:
    """Of one person's turn. `before_effect` raises Busy if a call with side effects must not be made now."""

    person: Person
    journal: TurnJournal
    interrupts: InterruptWatcher
    before_effect: Callable[[], None]

    async def run(self, tool: Tool, call: FunctionCall) -> ToolResult:
        """A read-only call may be interrupted and repeated. Busy: the call was not made."""
        if tool.read_only:
            return await self.interrupts.wait_for(self._execute(tool, call))
        await self.journal.intend(call.call_id, call.name)
        try:
            self.before_effect()
            return await self._execute(tool, call)
        except Busy:
            await self.journal.withdraw(call.call_id)
            raise

    async def _execute(self, tool: Tool, call: FunctionCall) -> ToolResult:
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.call(self.person, call.arguments or {})
        except TimeoutError:
            return own_result("The tool took too long." if tool.read_only else OUTCOME_UNKNOWN)
        except Busy:
            raise  # nothing was done: the turn waits and then makes the call
        except VendorUnavailable:
            return own_result("The service behind this tool does not respond right now. Nothing was done.")
        except Exception:
            log.exception("tool failed tool=%s person=%s", call.name, self.person.id)
            return own_result("The tool failed." if tool.read_only else OUTCOME_UNKNOWN)
