"""An action that is requested often, and runs at once or after a short pause since the last time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


class Paced(Generic[K]):
    """Calls `act` with a key, at most once in `seconds` for the same key. No request is lost."""

    def __init__(self, act: Callable[[K], None], seconds: float) -> None:
        self._act = act
        self._seconds = seconds
        self._asked_again: dict[K, bool] = {}
        """By the keys of the last `seconds`."""

    def __call__(self, key: K) -> None:
        if key in self._asked_again:
            self._asked_again[key] = True
            return
        self._asked_again[key] = False
        asyncio.get_running_loop().call_later(self._seconds, self._over, key)
        self._act(key)

    def _over(self, key: K) -> None:
        if self._asked_again.pop(key):
            self(key)
