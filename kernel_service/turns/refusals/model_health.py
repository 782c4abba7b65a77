"""Whether the model is unavailable, or refuses this turn alone."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.model import ModelRejectedError, ModelRequest, UnusableAnswerError, UserInput
from kernel_service.ports.payloads import Payload, Text
from kernel_service.turns.context.instructions import person_key
from kernel_service.turns.spending import estimates

if TYPE_CHECKING:
    from kernel_service.ports.model import Model
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.spending.spending import Spending

PROBE_SECONDS: Final = 10.0
LEAST_OUTPUT_TOKENS: Final = 16

_OF_ONE_REQUEST: Final = frozenset({"model_unavailable", "model_rejects_key", "model_unpaid"})
"""Problems that may concern a single request. A busy vendor is busy for all requests."""


@dataclass(slots=True)
class ModelHealth:
    """Of one turn. The model is probed after `probe_after` holds of the turn, once in an attempt."""

    turn: Turn
    model: Model
    spending: Spending
    _: KW_ONLY
    probe_after: int
    _healthy: bool | None = field(init=False, default=None)

    async def fails_this_turn_alone(self, away: VendorUnavailable) -> bool:
        """Whether the model answers other requests. If so, the history of this turn may be the cause."""
        if away.problem not in _OF_ONE_REQUEST or self.turn.holds < self.probe_after:
            return False
        if self._healthy is None:
            self._healthy = await self._probe()
        return self._healthy

    async def _probe(self) -> bool:
        """Whether the model answers a minimal request. A refusal counts as an answer."""
        items = [orjson.dumps(self.model.user_item(UserInput(Payload(Text("ping")))))]
        ping = ModelRequest("", items, [], person_key(self.turn.person_id), LEAST_OUTPUT_TOKENS)
        try:
            async with (
                asyncio.timeout(PROBE_SECONDS),
                self.spending.request(lambda: estimates.of_request(ping), anyway=True) as cost,
            ):
                cost.reported = (await self.model.answer(ping)).usage
        except (VendorUnavailable, TimeoutError):
            return False
        except (ModelRejectedError, UnusableAnswerError):
            return True
        return True
