"""Transcripts of recordings, within a bounded time, so that no recording delays a turn indefinitely.

A server that implements only a part of the vendor's protocol may lack transcription, or hang. Each recording is tried
for two minutes in total. After several failures, or once the vendor reports that it has no transcription, none is tried
for five minutes. Then one recording is tried as a probe.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.model import ModelRejectedError, TranscriptionMissingError
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.turns.spending.spending import Cost

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.model import ModelFile, Transcriber

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS: Final = 120.0
LAST_TRY_SECONDS: Final = 5.0
REST_SECONDS: Final = 300.0
PROBE_SECONDS: Final = 30.0
KEPT_SECONDS: Final = 900.0
"""How long a recording without a transcript counts as a failure."""


class NotTranscribedError(Exception):
    """The recording cannot be transcribed now, and the turn does not wait for it."""


class Transcription:
    """One instance for the process, so that recordings share what is known of the vendor's failures."""

    def __init__(self, transcriber: Transcriber, clock: Callable[[], float]) -> None:
        self._transcriber = transcriber
        self._clock = clock
        self._rests_until = 0.0
        self._begun: dict[str, float] = {}
        """The first attempt of each recording that failed since the last success."""

    async def transcribe(
        self,
        media_id: str,
        recording: ModelFile,
        counted: Callable[[], AbstractAsyncContextManager[Cost]] = lambda: nullcontext(Cost()),
    ) -> tuple[str, Usage]:
        """The transcript. The request is made inside `counted` (Spending.transcription).

        NotTranscribedError; VendorUnavailable: try again later; ModelRejectedError: not this recording;
        BudgetSpentError.
        """
        now = self._clock()
        if now < self._rests_until:
            raise NotTranscribedError
        probes, self._rests_until = self._rests_until > 0, now + PROBE_SECONDS if self._rests_until else 0.0
        known = media_id in self._begun
        begun = self._begun.setdefault(media_id, now)
        left = PROBE_SECONDS if probes else max(begun + LONGEST_WAIT_SECONDS - now, LAST_TRY_SECONDS)
        try:
            async with asyncio.timeout(left), counted() as cost:
                transcript, cost.reported = await self._transcriber.transcribe(recording)
        except (Busy, BudgetSpentError):
            if not known:
                self._begun.pop(media_id, None)
            raise
        except ModelRejectedError:
            self._begun.pop(media_id, None)
            raise
        except TranscriptionMissingError as missing:
            self._rest(str(missing))
            raise NotTranscribedError from None
        except TimeoutError:
            raise self._failed(media_id, VendorUnavailable("transcription_unavailable")) from None
        except VendorUnavailable as away:
            raise self._failed(media_id, away) from None
        self._note_success()
        return transcript, cost.reported

    def _failed(self, media_id: str, away: VendorUnavailable) -> VendorUnavailable | NotTranscribedError:
        now = self._clock()
        self._begun = {each: at for each, at in self._begun.items() if now - at < KEPT_SECONDS or each == media_id}
        several = len(self._begun) > 1  # the cause of a single failure may be the recording
        since = min(self._begun.values()) if several else self._begun.get(media_id, now)
        if now - since < LONGEST_WAIT_SECONDS:
            return VendorUnavailable("model_hearing", away.retry_after)
        if several:
            self._rest(away.problem)
        return NotTranscribedError()

    def _rest(self, problem: str) -> None:
        if not self._rests_until:
            log.error("alert: recordings cannot be heard (%s): is OPENAI_TRANSCRIBE_MODEL right?", problem)
        self._rests_until = self._clock() + REST_SECONDS

    def _note_success(self) -> None:
        if self._rests_until:
            log.warning("recordings can be heard again")
        self._rests_until = 0.0
        self._begun.clear()
