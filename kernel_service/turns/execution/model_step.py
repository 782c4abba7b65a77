"""One answer of the model; it is asked differently for as long as the turn knows how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.model import ModelRejectedError, UnusableAnswerError
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from kernel_service.ports.model import Model, ModelAnswer, ModelRequest
    from kernel_service.turns.execution.model_requests import ModelRequests
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.refusals.model_health import ModelHealth
    from kernel_service.turns.refusals.recovery import Recovery
    from kernel_service.turns.replies.live_answer import LiveAnswer
    from kernel_service.turns.spending.spending import Spending


class ModelStep:
    """Of one turn. `last_attempt`: a turn whose attempts fail is given up after this one."""

    def __init__(  # noqa: PLR0917 - whom it asks, and what it does about a refusal
        self,
        model: Model,
        requests: ModelRequests,
        spending: Spending,
        interrupts: InterruptWatcher,
        recovery: Recovery,
        health: ModelHealth,
        live: LiveAnswer,
        *,
        last_attempt: bool,
    ) -> None:
        self._model = model
        self._requests = requests
        self._spending = spending
        self._interrupts = interrupts
        self._recovery = recovery
        self._health = health
        self._live = live
        self._last_attempt = last_attempt

    async def answer(self, *, anyway: bool) -> ModelAnswer:
        """`anyway`: also over the budget. ModelRejectedError, VendorUnavailable or UnusableAnswerError at last."""
        while True:
            await self._interrupts.check()
            try:
                answer = await self._ask(self._requests.next(), anyway=anyway)
            except (ModelRejectedError, VendorUnavailable, UnusableAnswerError) as refusal:
                if not await self._can_ask_differently(refusal):
                    raise
                continue
            await self._recovery.answered()
            if not self._recovery.asks_again(answer):
                return answer

    async def _ask(self, request: ModelRequest, *, anyway: bool) -> ModelAnswer:
        listener = self._live.listener()
        async with self._spending.request(lambda: estimates.of_request(request), anyway=anyway) as cost:
            answer = await self._interrupts.wait_for(self._model.answer(request, listener))
            cost.told = answer.usage
        return answer

    async def _can_ask_differently(self, refusal: ModelRejectedError | VendorUnavailable | UnusableAnswerError) -> bool:
        if isinstance(refusal, ModelRejectedError):
            return await self._recovery.mend(refusal)
        if isinstance(refusal, VendorUnavailable):
            history_may_be_to_blame = await self._health.fails_this_turn_alone(refusal)
        else:
            history_may_be_to_blame = self._last_attempt
        return history_may_be_to_blame and self._recovery.begins_afresh()
