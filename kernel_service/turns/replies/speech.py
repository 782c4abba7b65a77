"""The voice of the process, within a bounded time: no answer waits long for it.

A text that takes too long may be the cause itself. So it rests the voice of its person alone. The voice of all people
rests once several of them have failed without a success in between, or if the vendor refuses every text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.model import SPEECH_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import Speaker

LONGEST_WAIT_SECONDS: Final = 20.0
"""For one voice message: the person's text waits for it."""
REST_SECONDS: Final = 300.0
SEVERAL: Final = 3
"""The number of people whose failures show that the vendor is the cause."""
KEPT_SECONDS: Final = 900.0
"""How long a person's failure counts: longer than a rest, after which one failure is enough."""


class Speech:
    """One instance for the process."""

    def __init__(self, speaker: Speaker, clock: Callable[[], float], *, tokens_per_second: int) -> None:
        self._speaker = speaker
        self._clock = clock
        self._rests_until = 0.0
        self._failed: dict[str, float] = {}
        """When each person failed, since the last success."""
        self._own_rests: dict[str, float] = {}
        """Until when each person rests."""
        self.tokens_per_second = tokens_per_second

    def is_at_rest(self, person_id: str) -> bool:
        until = max(self._rests_until, self._own_rests.get(person_id, 0.0))
        return 0 < until - self._clock() <= REST_SECONDS  # the clock may be set back

    async def say(self, person_id: str, text: str) -> bytes:
        """VendorUnavailable, ModelRejectedError, UnusableAnswerError."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                sound = await self._speaker.speak(text)
        except TimeoutError:
            self._note_failure(person_id)
            raise VendorUnavailable(SPEECH_FAILED, unanswered=True) from None
        except Busy:  # of this person, or of the model
            raise
        except VendorUnavailable as away:
            if away.problem == SPEECH_FAILED:
                self._note_failure(person_id)
            else:
                self._rests_until = self._clock() + REST_SECONDS
            raise
        self._failed.clear()
        return sound

    def _note_failure(self, person_id: str) -> None:
        now = self._clock()
        self._own_rests = {each: until for each, until in self._own_rests.items() if until > now}
        self._own_rests[person_id] = now + REST_SECONDS
        self._failed = {each: at for each, at in self._failed.items() if 0 <= now - at < KEPT_SECONDS}
        self._failed[person_id] = now
        if len(self._failed) >= SEVERAL:
            self._rests_until = now + REST_SECONDS
