"""The requests of a kernel that rests between turns have the bytes of those of one that stays in memory."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer
from kernel_service.ports.turns import COMPACTION
from kernel_service.turns.compaction_rule import CompactionRule
from tests.migrated_sqlite import open_migrated
from tests.unit.turns.scene import Model, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.model import ModelRequest, TextListener

TURNS = 50
USAGE = Usage(input_tokens=10, output_tokens=5, model_calls=1)


class Vendor(Model):
    """Thinks, calls tools and compacts as its seed says. Keeps the input of each request."""

    def __init__(self, seed: int, *, compacts: bool) -> None:
        super().__init__()
        self.random, self.compacts = Random(seed), compacts
        self.sent: list[bytes] = []

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        self.sent.append(b"\n".join(request.items))
        if b"Write notes" in request.items[-1]:
            return ModelAnswer([_message("notes")], "notes", USAGE)
        items: list[dict[str, Any]] = []
        if self.compacts and request.compact_at < 1000:
            items.append({"type": COMPACTION, "id": f"cmp_{self._sealed(8)}", "encrypted_content": self._sealed(300)})
        if self.random.random() < 0.7:
            items.append({"type": "reasoning", "id": f"rs_{self._sealed(8)}", "encrypted_content": self._sealed(300)})
        if self.random.random() < 0.3:
            name = self.random.choice(["look", "act"])
            call = {"type": "function_call", "id": f"fc_{self._sealed(8)}", "call_id": self._sealed(8), "name": name}
            return ModelAnswer([*items, call], "", USAGE, [self.call_of(call)])
        return ModelAnswer([*items, _message("word " * self.random.randrange(90))], "answer", USAGE)

    def _sealed(self, size: int) -> str:
        return self.random.randbytes(size).hex()


def _message(text: str) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": text}


@pytest.mark.parametrize("compacts", [True, False], ids=["by the vendor", "by a summary"])
@pytest.mark.parametrize("seed", range(3))
async def test_requests_after_rests_have_the_same_bytes(tmp_path: Path, seed: int, *, compacts: bool) -> None:
    sent = []
    for rests in (False, True):
        folder = tmp_path / str(rests)
        folder.mkdir()
        sent.append(await _sent(folder, seed, compacts=compacts, rests=rests))
    kept, rested = sent
    assert rested == kept
    assert len(kept) > TURNS
    assert any((b"cmp_" if compacts else b"notes") in each for each in kept)


async def _sent(folder: Path, seed: int, *, compacts: bool, rests: bool) -> list[bytes]:
    store = await open_migrated(folder)
    try:
        scene = Scene(store)
        scene.model = vendor = Vendor(seed, compacts=compacts)
        scene.limits = replace(scene.limits, compaction=CompactionRule(60_000, 12))
        random, kernel = Random(seed), None
        for number in range(TURNS):
            await scene.hear(f"message {number} " * random.randrange(1, 30), number)
            kernel = kernel or await scene.activated()
            if random.random() < 0.4 and rests:
                await _rest(scene, kernel)
            await scene.run(kernel)
            if random.random() < 0.04:
                await store.context.reset(scene.person_id)
                kernel = None
        return vendor.sent
    finally:
        await store.close()


async def _rest(scene: Scene, kernel: Kernel) -> None:
    kernel.rest()
    kernel.recall(await scene.store.kernels.activate(scene.person_id, owner="k", model=scene.model.origin))
