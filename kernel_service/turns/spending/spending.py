"""The spending of an attempt: each request is reserved before it is made, and settled afterwards.

A reservation checks the budgets in the same transaction. The settlement goes with the next write of the turn. If that
write fails (a kill, a lost lease, an unavailable store), the reservation stays counted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelRejectedError, TranscriptionMissingError, UnusableAnswerError
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from kernel_service.ports.model import ModelFile
    from kernel_service.ports.spending import Estimate, SpendingStore
    from kernel_service.turns.limits import TurnLimits


@dataclass(frozen=True, slots=True)
class Bill:
    """The next write: the usage, and the ids of the reservations that it settles."""

    usage: Usage = field(default_factory=Usage)
    settles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Request:
    estimate: Callable[[], Estimate]
    began: float


@dataclass(slots=True)
class Cost:
    """Of one request. The caller sets the usage that the vendor reported."""

    told: Usage | None = None


@dataclass(slots=True)
class Spending:
    store: SpendingStore
    person_id: str
    limits: TurnLimits
    clock: Callable[[], float]
    request_ended: Callable[[float, Usage], None] = lambda _seconds, _usage: None
    """Told the seconds and the usage of each request."""
    _owed: Usage = field(init=False, default_factory=Usage)
    _settled: list[str] = field(init=False, default_factory=list)
    _under_way: _Request | None = field(init=False, default=None)

    @asynccontextmanager
    async def request(self, estimate: Callable[[], Estimate], *, anyway: bool = False) -> AsyncIterator[Cost]:
        """Make a request to the model inside the block. `anyway`: even if a budget is spent.

        BudgetSpentError; Busy while requests of others may spend the rest of the budget.
        """
        if budgets := self.limits.budgets:
            reservation = await self.store.reserve(self.person_id, estimate(), budgets, anyway=anyway, now=self.clock())
            self._settled.append(reservation)  # every exit of the block settles it
        self._under_way = request = _Request(estimate, self.clock())
        cost = Cost()
        try:
            yield cost
        except UnusableAnswerError as nonsense:
            self._ended(request, nonsense.usage, wrote=False)
            raise
        except BaseException as error:
            self._broke_off(request, error)
            raise
        self._ended(request, cost.told or Usage(model_calls=1), wrote=True)

    def transcription(self, recording: ModelFile) -> AbstractAsyncContextManager[Cost]:
        """Like `request`, for the transcription of a recording."""
        return self.request(lambda: estimates.of_recording(recording, self.limits.tokens_per_audio_second))

    @property
    def is_owed(self) -> bool:
        return bool(self._settled) or self._under_way is not None or self._owed != Usage()

    @contextmanager
    def paid(self) -> Iterator[Bill]:
        """Write the bill inside the block. If the outcome of the write is unknown, the reservation stays counted."""
        self._let_go()  # a cancelled request may not have noticed yet
        bill = Bill(self._owed, tuple(self._settled))
        self._owed, self._settled = Usage(), []
        try:
            yield bill
        except Exception:  # nothing was kept
            self._owed += bill.usage
            self._settled += bill.settles
            raise

    def _ended(self, request: _Request, told: Usage, *, wrote: bool) -> None:
        if self._under_way is request:
            self._under_way = None
            is_plausible = estimates.is_plausible(told)
            self._owe(request, told if is_plausible else estimates.completed(told, request.estimate(), wrote=wrote))

    def _broke_off(self, request: _Request, error: BaseException) -> None:
        if self._under_way is request:
            if _is_free(error):
                self._under_way = None
                self._owe(request, Usage())
            self._let_go()

    def _let_go(self) -> None:
        """Abandon the current request. It is charged by its estimate, since its cost stays unknown."""
        if request := self._under_way:
            self._under_way = None
            self._owe(request, estimates.used_after(self.clock() - request.began, request.estimate()))

    def _owe(self, request: _Request, usage: Usage) -> None:
        self._owed += usage
        self.request_ended(self.clock() - request.began, usage)


def _is_free(error: BaseException) -> bool:
    """Whether a request with this error is not billed, because it was refused or never sent."""
    if isinstance(error, VendorUnavailable):
        return not error.unanswered
    return isinstance(error, ModelRejectedError | TranscriptionMissingError)
