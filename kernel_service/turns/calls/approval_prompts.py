"""Prompts for the calls of one step that wait for approval: together, as far as one message can show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.bundles import bundles
from kernel_service.approvals.prompt import FILENAME
from kernel_service.errors import Exhausted
from kernel_service.ports.approvals import ASKED, ApprovalPrompt
from kernel_service.ports.tools import ToolFile, ToolResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.approvals.prompt import Shown
    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.messages import ReplyFile
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.journal.produced_files import ProducedFiles

MOST_PROMPTS: Final = 5
"""In one turn."""
TOO_MUCH_TO_SHOW: Final = (
    "Not done, and not asked: one message cannot show the person everybody whom this reaches. Make several smaller "
    "calls, or shorten the arguments."
)
TOO_MANY_PROMPTS: Final = (
    "Not done, and not asked: the person has enough to confirm already. Say so, and continue once they have answered."
)
NO_ROOM: Final = "Not done, and not asked: this is too long for a message, and there is no room for a file now. Say so."


@dataclass(slots=True)
class ApprovalPrompts:
    """Of one turn. A call that was prompted for is not prompted for again."""

    transcript: Transcript
    files: ProducedFiles
    _waiting: list[Approval] = field(init=False, default_factory=list)
    _may_stand: set[str] = field(init=False, default_factory=set)

    def add(self, approval: Approval, *, may_stand: bool = False) -> None:
        """Add this call to the prompt of its step. `may_stand`: the person may permit such calls permanently."""
        before = [*self.transcript.for_the_person().approvals, *self._waiting]
        if any(approval.asks_the_same_as(each) for each in before):
            return self.transcript.result(approval.call_id, ToolResult(ASKED, own=True))
        self._waiting.append(approval)
        self._may_stand |= {approval.id} if may_stand else set()
        return None

    async def put(self) -> bool:
        """Add the prompts to the transcript. Returns False if there are none."""
        waiting, self._waiting = self._waiting, []
        for approvals, shown in bundles(waiting):
            await self._put(approvals, shown)
        return bool(waiting)

    async def _put(self, approvals: tuple[Approval, ...], shown: Shown | None) -> None:
        if shown is None:
            return self._refuse(approvals, TOO_MUCH_TO_SHOW)
        if len(self.transcript.for_the_person().prompts) >= MOST_PROMPTS:
            return self._refuse(approvals, TOO_MANY_PROMPTS)
        try:
            document = await self._document(shown)
        except Exhausted:
            return self._refuse(approvals, NO_ROOM)
        may_stand = len(approvals) == 1 and approvals[0].id in self._may_stand
        return self.transcript.ask(ApprovalPrompt(approvals, shown.text, document, may_stand))

    async def _document(self, shown: Shown) -> ReplyFile | None:
        if shown.document is None:
            return None
        return await self.files.keep(ToolFile(shown.document, "text/plain", FILENAME))

    def _refuse(self, approvals: Sequence[Approval], sentence: str) -> None:
        for each in approvals:
            self.transcript.result(each.call_id, ToolResult(sentence, ok=False, own=True))
