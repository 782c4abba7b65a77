"""Bounds the sends of a number that WhatsApp does not answer: until they time out they occupy the others' places."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

MOST_UNANSWERED: Final = 50
"""Sends of a number that may be under way since its last answer: half of the places. Each answer admits as many again.
"""
ANSWER_SECONDS: Final = 2.0
"""How long a further send waits for an answer to any of them. Once it has waited without success, the next ones do
not wait.
"""


@dataclass(slots=True)
class _Number:
    """unanswered: sends that have begun since the last answer; is_silent: a further one has waited without success."""

    unanswered: int = 0
    is_silent: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class UnansweredSends:
    """By number of ours. The bound is not exact: a send from before the last answer ends as one after it."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, _Number] = defaultdict(_Number)

    async def begin(self, number: str, timeout: float) -> float | None:
        """Count a send, after ANSWER_SECONDS at most. Returns the seconds of the timeout that are left.

        None: WhatsApp answers none of those under way, and this one is not counted.
        """
        state = self._numbers[number]
        if state.unanswered >= MOST_UNANSWERED:
            began = asyncio.get_running_loop().time()
            if state.is_silent or not await _answered(state, min(ANSWER_SECONDS, timeout)):
                return None
            timeout -= asyncio.get_running_loop().time() - began
        state.unanswered += 1
        return timeout

    def end(self, number: str, *, answered: bool) -> None:
        """A counted send has ended, with an answer or without."""
        state = self._numbers[number]
        state.unanswered = 0 if answered else max(0, state.unanswered - 1)
        state.is_silent = False
        state.changed.set()


async def _answered(state: _Number, seconds: float) -> bool:
    """Whether another send may begin within this time."""
    try:
        async with asyncio.timeout(seconds):
            while state.unanswered >= MOST_UNANSWERED:
                state.changed.clear()
                await state.changed.wait()
    except TimeoutError:
        state.is_silent = True
        return False
    return True
