"""The tokens sent for a message of a long chat, against those of a chat of 50 turns, and the items that are read."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer, ModelRequest
from kernel_service.ports.turns import COMPACTION
from kernel_service.token_counts import tokens, utf8_tokens
from tests.unit.turns.scene import Model, Scene, calls

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.model import TextListener

SHORT = 50
BUILT_IN = 1500
"""The tokens of the tools that each request offers, without toolkits."""
LONG = 110
"""Turns. Later ones repeat: a compaction ends each period, and nothing of the periods before is sent or read."""
MOST = 1.3
SUMMARY = "the person and the assistant have talked about many things. " * 60


class Vendor(Model):
    """Compacts as it is told, or does not and writes notes. Calls a tool in every seventh answer."""

    def __init__(self, words: str, *, compacts: bool) -> None:
        super().__init__()
        self.words = words
        self.compacts = compacts
        self.sent: list[int] = []
        self.requests = 0

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        items = sum(map(utf8_tokens, request.items))
        self.sent.append(BUILT_IN + tokens(request.instructions) + items)
        self.requests += 1
        usage = Usage(input_tokens=self.sent[-1], output_tokens=50, model_calls=1)
        if b"Write notes" in request.items[-1]:
            return ModelAnswer(self._said(SUMMARY), SUMMARY, usage)
        sealed = {"type": COMPACTION, "id": f"cmp_{self.requests}", "encrypted_content": "x" * 2400}
        before = [sealed] if self.compacts and items > request.compact_at else []
        if self.requests % 7 == 0:
            called = calls("look")
            [call] = called.items
            renamed = call | {"call_id": f"c_{self.requests}"}
            return ModelAnswer([*before, renamed], "", usage, [self.call_of(renamed)])
        return ModelAnswer([*before, *self._said(self.words)], self.words, usage)

    def _said(self, text: str) -> list[dict[str, Any]]:
        return [{"type": "message", "role": "assistant", "content": text}]


@pytest.mark.parametrize("compacts", [True, False], ids=["by the vendor", "by a summary"])
@pytest.mark.parametrize("length", [12, 60], ids=["short messages", "long messages"])
async def test_message_of_a_long_chat_costs_little_more(scene: Scene, length: int, *, compacts: bool) -> None:
    vendor = scene.model = Vendor("answer " * length, compacts=compacts)
    kernel: Kernel | None = None
    totals = [0]
    for number in range(LONG):
        await scene.hear("message " * length, number)
        kernel = kernel or await scene.activated()
        await scene.run(kernel)
        totals.append(sum(vendor.sent))
    costs = [after - before for before, after in pairwise(totals)]
    assert mean(costs) <= MOST * mean(costs[:SHORT]), "with the cost of the summaries"
    assert mean(costs[-SHORT:]) <= MOST * mean(costs[:SHORT])
    assert max(vendor.sent) <= MOST * max(vendor.sent[: SHORT + SHORT // 6])
    read = await scene.store.kernels.activate(scene.person_id, owner="reader", model=vendor.origin)
    assert len(read.history) < 4 * SHORT, "the journal has many more"


def mean(costs: list[int]) -> float:
    return sum(costs) / len(costs)
