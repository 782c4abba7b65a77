"""The common beginning of consecutive requests: the vendor finds only the same bytes in its cache."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer, ModelRequest
from kernel_service.token_counts import utf8_tokens
from tests.unit.turns.scene import Model, Scene, calls

if TYPE_CHECKING:
    from kernel_service.ports.model import TextListener

LIMIT = 4000
"""Of the context, in tokens."""


class Recorder(Model):
    """Calls a tool in every third answer, and reasons in each. Records the items as they are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[bytes]] = []
        self.answers = 0

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        self.sent.append(list(request.items))
        self.answers += 1
        thought = {"type": "reasoning", "id": f"rs_{self.answers}", "encrypted_content": "x" * 600}
        if self.answers % 3 == 0:
            return ModelAnswer([thought, *calls("look").items], "", Usage(), calls("look").calls)
        message = {"type": "message", "id": f"msg_{self.answers}", "role": "assistant", "content": "an answer " * 8}
        return ModelAnswer([thought, message], "an answer " * 8, Usage())


async def test_consecutive_turns_share_their_beginning_near_the_limit(scene: Scene) -> None:
    model = scene.model = Recorder()
    first_requests: list[list[bytes]] = []
    kernel = None
    for number in range(60):
        await scene.hear(f"message {number} " * 6, number)
        if kernel is None:
            kernel = await scene.activated()
            await scene.store.context.shrink(scene.person_id, kernel.epoch, keep=0, tokens=LIMIT)
        if number % 7 == 0:  # as after a restart or an eviction
            kernel = await scene.activated()
        before = len(model.sent)
        await scene.run(kernel)
        first_requests.append(model.sent[before])
    pairs = list(pairwise(first_requests))
    missed = [number for number, (one, following) in enumerate(pairs) if following[: len(one)] != one]
    assert 1 <= len(missed) <= len(pairs) // 10, "the window is cut, to half, and then left alone"
    sizes = [sum(map(utf8_tokens, items)) for items in first_requests]
    assert max(sizes) <= LIMIT
    assert all(sizes[number + 1] < 0.6 * sizes[number] for number in missed)
