"""The spending of an attempt: each request is reserved before it is made, and settled afterwards.

A reservation checks the budgets in the same transaction. The settlement goes with the next write of the turn. If that
write fails (a kill, a lost lease, an unavailable store), the reservation stays counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelRejectedError, TranscriptionMissingError, UnusableAnswerError
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from kernel_service.ports.model import ModelFile
    from kernel_service.ports.spending import Estimate, SpendingStore
    from kernel_service.turns.limits import TurnLimits


_NONE: Final = Usage()


@dataclass(slots=True)
class Bill:
    """The next write, inside the block: the usage, and the ids of the reservations that it settles.

    If the outcome of the write is unknown, the reservations stay counted.
    """

    usage: Usage
    settles: tuple[str, ...]
    take_back: Callable[[Bill], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):  # nothing was kept
            self.take_back(self)


@dataclass(slots=True)
class Cost:
    """Of one request. The caller sets the usage that the vendor reported."""

    reported: Usage | None = None


class Request(Cost):
    """A request to the model, inside the block."""

    __slots__ = ("anyway", "began", "estimate", "spending")

    def __init__(self, spending: Spending, estimate: Callable[[], Estimate], *, anyway: bool) -> None:
        self.reported = None
        self.spending = spending
        self.estimate = estimate
        self.anyway = anyway
        self.began = 0.0

    async def __aenter__(self) -> Self:
        await self.spending.begin(self)
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.spending.end(self, error)


class Spending:
    """Of one attempt. `request_ended` receives the seconds and the usage of each request."""

    def __init__(
        self,
        store: SpendingStore,
        person_id: str,
        limits: TurnLimits,
        clock: Callable[[], float],
        request_ended: Callable[[float, Usage], None],
    ) -> None:
        self._store = store
        self._person_id = person_id
        self._limits = limits
        self._clock = clock
        self._request_ended = request_ended
        self._owed = _NONE
        self._settled: list[str] = []
        self._in_progress: Request | None = None

    def request(self, estimate: Callable[[], Estimate], *, anyway: bool = False) -> Request:
        """Make a request to the model inside the block. `anyway`: even if a budget is spent.

        BudgetSpentError; Busy while requests of others may spend the rest of the budget.
        """
        return Request(self, estimate, anyway=anyway)

    def transcription(self, recording: ModelFile) -> Request:
        """Like `request`, for the transcription of a recording."""
        return self.request(lambda: estimates.of_recording(recording, self._limits.tokens_per_audio_second))

    async def begin(self, request: Request) -> None:
        if budgets := self._limits.budgets:
            reservation = await self._store.reserve(
                self._person_id, request.estimate(), budgets, anyway=request.anyway, now=self._clock()
            )
            self._settled.append(reservation)  # however the request ends, it is settled
        self._in_progress = request
        request.began = self._clock()

    def end(self, request: Request, error: BaseException | None) -> None:
        """`error` ended the request; None: it was answered."""
        if self._in_progress is not request:
            return
        if error is None:
            self._ended(request, request.reported or Usage(model_calls=1), wrote=True)
        elif isinstance(error, UnusableAnswerError):
            self._ended(request, error.usage, wrote=False)
        elif _is_free(error):
            self._owe(request, _NONE)
        else:
            self._abandon(request)

    @property
    def is_owed(self) -> bool:
        return bool(self._settled) or self._in_progress is not None or self._owed != _NONE

    def paid(self) -> Bill:
        """Write the bill inside the block."""
        if self._in_progress is not None:  # it was cancelled, and may not have noticed yet
            self._abandon(self._in_progress)
        bill = Bill(self._owed, tuple(self._settled), self._take_back)
        self._owed, self._settled = _NONE, []
        return bill

    def _take_back(self, bill: Bill) -> None:
        self._owed += bill.usage
        self._settled += bill.settles

    def _ended(self, request: Request, reported: Usage, *, wrote: bool) -> None:
        is_plausible = estimates.is_plausible(reported)
        self._owe(request, reported if is_plausible else estimates.completed(reported, request.estimate(), wrote=wrote))

    def _abandon(self, request: Request) -> None:
        """Abandon the current request. It is charged by its estimate, since its cost stays unknown."""
        self._owe(request, estimates.used_after(self._clock() - request.began, request.estimate()))

    def _owe(self, request: Request, usage: Usage) -> None:
        self._in_progress = None
        self._owed = usage if self._owed is _NONE else self._owed + usage
        self._request_ended(self._clock() - request.began, usage)


def _is_free(error: BaseException) -> bool:
    """Whether a request with this error is not billed, because it was refused or never sent."""
    if isinstance(error, VendorUnavailable):
        return not error.unanswered
    return isinstance(error, ModelRejectedError | TranscriptionMissingError)
