"""Answers voice messages with voice, beside the text. The person has the text in any case."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service.errors import Exhausted, VendorUnavailable
from kernel_service.opus import seconds_of
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelRejectedError, UnusableAnswerError
from kernel_service.ports.payloads import Audio
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.ports.tools import ToolFile
from kernel_service.ports.turns import TurnStatus
from kernel_service.token_counts import tokens
from kernel_service.turns.replies.spoken_text import spoken_text
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from kernel_service.ports.messages import ReplyFile
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.endings import Finished
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.produced_files import ProducedFiles
    from kernel_service.turns.replies.speech import Speech
    from kernel_service.turns.spending.spending import Spending

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceAnswer:
    """Of one turn. `speech` is None if voice answers are off."""

    turn: Turn
    speech: Speech | None
    files: TurnFiles
    produced: ProducedFiles
    spending: Spending
    interrupts: InterruptWatcher

    async def added_to(self, finished: Finished) -> Finished:
        """The ending with the voice beside its first text, if the person's last message is a voice message."""
        speech = self.speech
        if speech is None or speech.is_at_rest(self.turn.person_id) or not self._is_wanted(finished):
            return finished
        first = finished.replies[0]
        try:
            voice = await self._kept(speech, spoken_text(first.text))
        except (VendorUnavailable, ModelRejectedError, UnusableAnswerError, BudgetSpentError, Exhausted) as failure:
            log.warning("answer without voice: %s person=%s", _reason(failure), self.turn.person_id)
            return finished
        if voice is None:
            return finished
        spoken = replace(first, media=(*first.media, replace(voice, voice=True)))
        return replace(finished, replies=(spoken, *finished.replies[1:]))

    def _is_wanted(self, finished: Finished) -> bool:
        """An approval prompt has to be read, and a recording that was not heard has no answer."""
        sent = self.files.in_words(self.turn.messages[-1]).content
        heard = isinstance(sent, Audio) and sent.voice and bool(sent.transcript)
        return heard and finished.status is TurnStatus.COMPLETED and not finished.prompts

    async def _kept(self, speech: Speech, text: str) -> ReplyFile | None:
        """None: there is nothing to say."""
        if not text:
            return None
        return await self.produced.keep(ToolFile(await self._said(speech, text), "audio/ogg", "voice.ogg"))

    async def _said(self, speech: Speech, text: str) -> bytes:
        per_second = speech.tokens_per_second
        async with self.spending.request(lambda: estimates.of_speech(text, per_second)) as cost:
            sound = await self.interrupts.wait_for(speech.say(self.turn.person_id, text))
            # The vendor tells no usage with a sound.
            heard = int(seconds_of(sound) * per_second) + 1
            cost.reported = Usage(input_tokens=max(1, tokens(text)), output_tokens=heard, model_calls=1)
        return sound


def _reason(failure: Exception) -> str:
    """Safe to log."""
    if isinstance(failure, VendorUnavailable):
        return failure.problem
    if isinstance(failure, UnusableAnswerError):
        return failure.flaw
    return failure.code if isinstance(failure, ModelRejectedError) else type(failure).__name__
