"""One answer of the model. After a refusal the request is changed and repeated while the turn has ways to do so."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.model import ModelRejectedError, UnusableAnswerError
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import Model, ModelAnswer, ModelRequest
    from kernel_service.turns.execution.model_requests import ModelRequests
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.refusals.model_health import ModelHealth
    from kernel_service.turns.refusals.recovery import Recovery
    from kernel_service.turns.replies.live_answer import LiveAnswer
    from kernel_service.turns.spending.spending import Spending


@dataclass(slots=True)
class ModelStep:
    """Of one turn. `last_attempt`: a turn whose attempts fail is given up after this one."""

    model: Model
    requests: ModelRequests
    spending: Spending
    interrupts: InterruptWatcher
    recovery: Recovery
    health: Callable[[], ModelHealth]
    live: LiveAnswer
    _: KW_ONLY
    last_attempt: bool

    async def answer(self, *, anyway: bool) -> ModelAnswer:
        """`anyway`: even over budget. ModelRejectedError, VendorUnavailable, UnusableAnswerError: nothing helped."""
        while True:
            await self.interrupts.check()
            try:
                answer = await self._ask(self.requests.next(), anyway=anyway)
            except (ModelRejectedError, VendorUnavailable, UnusableAnswerError) as refusal:
                if not await self._can_ask_differently(refusal):
                    raise
                continue
            await self.recovery.answered()
            if not self.recovery.asks_again(answer):
                return answer

    async def _ask(self, request: ModelRequest, *, anyway: bool) -> ModelAnswer:
        listener = self.live.listener()
        async with self.spending.request(lambda: estimates.of_request(request), anyway=anyway) as cost:
            answer = await self.interrupts.wait_for(self.model.answer(request, listener))
            cost.reported = answer.usage
        return answer

    async def _can_ask_differently(self, refusal: ModelRejectedError | VendorUnavailable | UnusableAnswerError) -> bool:
        if isinstance(refusal, ModelRejectedError):
            return await self.recovery.recover(refusal)
        if isinstance(refusal, VendorUnavailable):
            history_may_be_the_cause = await self.health().fails_this_turn_alone(refusal)
        else:
            history_may_be_the_cause = self.last_attempt
        return history_may_be_the_cause and self.recovery.retries_without_history()
