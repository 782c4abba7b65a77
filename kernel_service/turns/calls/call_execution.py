"""One call of a tool: an intent before a call with side effects, a time limit, and a result in every case."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service.errors import Busy, LeaseLost, NotFound, VendorUnavailable
from kernel_service.ports.tools import OUTCOME_UNKNOWN, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import FunctionCall
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)


def own_result(sentence: str) -> ToolResult:
    """The result of a call without output: its outcome, in our own words."""
    return ToolResult(sentence, ok=False, own=True)


@dataclass(frozen=True, slots=True)
class CallExecution:
    """Of one turn. `before_effect` raises Busy if a call with side effects must not be made now."""

    turn: Turn
    person: Person
    transcript: Transcript
    journal: TurnJournal
    interrupts: InterruptWatcher
    before_effect: Callable[[], None]

    async def run(self, tool: Tool, call: FunctionCall, *, approved: bool) -> ToolResult:
        """A read-only call may be interrupted and repeated. Busy: the call was not made.

        An `approved` call may be older than the turns from which the taint is known.
        """
        tainted = approved or self.transcript.tainted
        result = await self._run(tool, call, replace(self.person, call_id=call.call_id, tainted=tainted))
        self.turn.changed_memory |= result.changes_memory
        return result

    async def _run(self, tool: Tool, call: FunctionCall, person: Person) -> ToolResult:
        if tool.read_only:
            return await self.interrupts.wait_for(self._execute(tool, call, person))
        await self.journal.intend(call.call_id, call.name)
        try:
            self.before_effect()
            return await self._execute(tool, call, person)
        except Busy:
            await self.journal.withdraw(call.call_id)
            raise

    async def _execute(self, tool: Tool, call: FunctionCall, person: Person) -> ToolResult:
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.call(person, call.arguments or {})
        except TimeoutError:
            return own_result("The tool took too long." if tool.read_only else OUTCOME_UNKNOWN)
        except Busy:
            raise  # nothing was done: the turn waits and then makes the call
        except VendorUnavailable:
            return own_result("The service behind this tool does not respond right now. Nothing was done.")
        except Exception as error:
            if isinstance(error, NotFound) and error.reason == "PERSON_NOT_FOUND":  # they were deleted meanwhile
                raise LeaseLost from error
            log.exception("tool failed tool=%s person=%s", call.name, self.person.id)
            return own_result("The tool failed." if tool.read_only else OUTCOME_UNKNOWN)
