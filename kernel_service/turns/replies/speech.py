"""The voice of the process, within a bounded time: no answer waits long for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Busy, VendorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import Speaker

LONGEST_WAIT_SECONDS: Final = 20.0
"""For one voice message: the person's text waits for it."""
REST_SECONDS: Final = 300.0


class Speech:
    """One instance for the process. After a failure of the vendor no text is said for five minutes."""

    def __init__(self, speaker: Speaker, clock: Callable[[], float], *, tokens_per_second: int) -> None:
        self._speaker = speaker
        self._clock = clock
        self._rests_until = 0.0
        self.tokens_per_second = tokens_per_second

    @property
    def is_at_rest(self) -> bool:
        return 0 < self._rests_until - self._clock() <= REST_SECONDS  # the clock may be set back

    async def say(self, text: str) -> bytes:
        """VendorUnavailable, ModelRejectedError, UnusableAnswerError."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                return await self._speaker.speak(text)
        except TimeoutError:
            self._rest()
            raise VendorUnavailable("speech_unavailable", unanswered=True) from None
        except Busy:  # of this person, or of the model
            raise
        except VendorUnavailable:
            self._rest()
            raise

    def _rest(self) -> None:
        self._rests_until = self._clock() + REST_SECONDS
