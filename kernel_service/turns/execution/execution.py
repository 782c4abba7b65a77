"""The life of a turn: inputs → model ⇄ tools → replies → close, and the other ways in which an attempt ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.interruptions import JoiningMessages, Requeued, Stopped
from kernel_service.ports.model import CONTEXT_TOO_LONG, ModelRejectedError
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.turns.calls.tool_calls import InDoubtError
from kernel_service.turns.execution.endings import GivenUp
from kernel_service.turns.execution.model_loop import BrokenOff
from kernel_service.turns.execution.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.turns.execution.answers import Answers
    from kernel_service.turns.execution.attempt_record import AttemptRecord
    from kernel_service.turns.execution.closing import TurnCloser
    from kernel_service.turns.execution.endings import Ending, Finished
    from kernel_service.turns.execution.failed import FailedTurn
    from kernel_service.turns.execution.held import HeldTurn
    from kernel_service.turns.execution.interrupted import InterruptedTurn
    from kernel_service.turns.execution.model_loop import ModelLoop
    from kernel_service.turns.execution.opening import TurnOpening
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.execution.start import TurnStart
    from kernel_service.turns.execution.summarising import Summariser
    from kernel_service.turns.execution.voice_answer import VoiceAnswer
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.replies.live_answer import LiveAnswer


@dataclass(slots=True)
class TurnExecution:
    """Runs one turn of one kernel until it ends or has to wait. `assembly` builds it."""

    files: TurnFiles
    opening: TurnOpening
    start: TurnStart
    loop: ModelLoop
    answers: Answers
    voice_answer: Callable[[], VoiceAnswer]
    closer: TurnCloser
    interrupts: InterruptWatcher
    live_answer: LiveAnswer
    reports: TurnReports
    interrupted: Callable[[], InterruptedTurn]
    held: Callable[[], HeldTurn]
    failed: Callable[[], FailedTurn]
    write_back: Callable[[], None]
    """Gives the kernel the history."""
    record: AttemptRecord
    summariser: Callable[[], Summariser]
    """Runs after a turn after which nothing waits."""

    async def run(self) -> float | None:
        """Call once. Returns when to look for the next turn (epoch seconds), or None: nothing waits.

        Requeued, CancelledError: this kernel must stop.
        """
        try:
            return await self._attempt()
        except JoiningMessages:
            return await self.interrupted().join()
        except Stopped:
            return await self.interrupted().stop()
        except (Requeued, asyncio.CancelledError):
            await self.interrupted().requeue()
            raise
        except InDoubtError as call:
            return await self.interrupted().requeue_in_doubt(call.until)
        except VendorUnavailable as away:
            return await self.held().hold(away)
        except Exception as error:  # noqa: BLE001 - no error may leave the person without a reply
            return await self.failed().fail(error)
        finally:
            self.write_back()

    async def _attempt(self) -> float | None:
        with self.interrupts, self.live_answer:
            try:
                return await self.closer.close(await self._ending())
            finally:
                self.reports.work_ends()

    async def _ending(self) -> Ending:
        subject = await self.opening.subject()
        if not isinstance(subject, Subject):
            return subject
        try:
            finished = await self._converse(subject)
        except BudgetSpentError:
            finished = self.answers.over_budget()
        except ModelRejectedError as rejected:
            too_long = rejected.code == CONTEXT_TOO_LONG
            return GivenUp(rejected.code, texts.answers.TOO_MUCH_AT_ONCE if too_long else texts.answers.FAILED)
        return replace(finished, preface=subject.preface) if subject.preface else finished

    async def _converse(self, subject: Subject) -> Finished:
        await self.start.begin(subject)
        answer = await self.loop.run(subject)
        if isinstance(answer, BrokenOff):
            return self.answers.broken_off(answer.text, answer.problem)
        finished = self.answers.answered(answer, subject)
        return await self.voice_answer().added_to(finished) if self.files.any else finished
