"""What an attempt of a turn spends: each request is reserved before it is made, and settled after.

Reserving looks at the budgets in the same transaction. Settling goes with the next write of the turn. Whatever keeps
that write away leaves the reservation counted: a kill, a lost lease, a store that does not answer.
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
    """What is to be written: what was spent, and the reservations (their ids) that it stands for."""

    usage: Usage = field(default_factory=Usage)
    settles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Request:
    estimate: Callable[[], Estimate]
    began: float


@dataclass(slots=True)
class Cost:
    """Of one request; whoever made it says what the vendor told."""

    told: Usage | None = None


@dataclass(slots=True)
class Spending:
    store: SpendingStore
    person_id: str
    limits: TurnLimits
    clock: Callable[[], float]
    _owed: Usage = field(init=False, default_factory=Usage)
    _settled: list[str] = field(init=False, default_factory=list)
    _under_way: _Request | None = field(init=False, default=None)

    @asynccontextmanager
    async def request(self, estimate: Callable[[], Estimate], *, anyway: bool = False) -> AsyncIterator[Cost]:
        """A request to the model is made inside the block. `anyway`: even if a budget is spent.

        BudgetSpentError; Busy while others' requests may spend what is left.
        """
        if budgets := self.limits.budgets:
            reservation = await self.store.reserve(self.person_id, estimate(), budgets, anyway=anyway, now=self.clock())
            self._settled.append(reservation)  # known from here on: each way out of the block settles it
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
        """As `request`, of a recording that is to be written down."""
        return self.request(lambda: estimates.of_recording(recording, self.limits.tokens_per_audio_second))

    @property
    def is_owed(self) -> bool:
        return bool(self._settled) or self._under_way is not None or self._owed != Usage()

    @contextmanager
    def paid(self) -> Iterator[Bill]:
        """What is owed is written inside the block. If nobody knows whether it was, the reservation stays counted."""
        self._let_go()  # what was cancelled may not have noticed yet
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
            self._owed += (
                told if estimates.is_plausible(told) else estimates.completed(told, request.estimate(), wrote=wrote)
            )

    def _broke_off(self, request: _Request, error: BaseException) -> None:
        if self._under_way is request:
            self._under_way = None if _is_free(error) else request
            self._let_go()

    def _let_go(self) -> None:
        """The request under way is abandoned; it is charged by its estimate, since nobody learns its cost."""
        if request := self._under_way:
            self._under_way = None
            self._owed += estimates.used_after(self.clock() - request.began, request.estimate())


def _is_free(error: BaseException) -> bool:
    """Whether a request that ended so is not billed: it was refused, or never sent."""
    if isinstance(error, VendorUnavailable):
        return not error.unanswered
    return isinstance(error, ModelRejectedError | TranscriptionMissingError)
