"""When the runner looks for a person's next turn: never, unless something waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.payloads import Text
from kernel_service.ports.turns import AT_ONCE
from tests.unit.turns.scene import says

if TYPE_CHECKING:
    from typing import Any

    from tests.unit.turns.scene import Scene


@pytest.fixture
def units(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The units of work of the store, by the names of their methods."""
    seen: list[str] = []
    engine: Any = scene.store.engine
    for kind in ("write", "read"):
        ask = getattr(engine, kind)

        def counting(unit: Any, *key: str, ask: Any = ask, kind: str = kind) -> Any:
            seen.append(kind)
            return ask(unit, *key)

        monkeypatch.setattr(engine, kind, counting)
    return seen


async def test_plain_turn_takes_two_units(scene: Scene, units: list[str]) -> None:
    await scene.hear()
    kernel = await scene.activated()
    scene.model.says = [says("hello")]
    units.clear()
    assert await scene.run(kernel) is None
    assert units == ["write", "write"]


async def test_message_that_could_not_join_is_next_at_once(scene: Scene) -> None:
    await scene.hear()
    await scene.send(Text("new chat"), number=2)
    kernel = await scene.activated()
    scene.model.says = [says("hello")]
    assert await scene.run(kernel) == AT_ONCE
    assert await scene.run(kernel) is None


async def test_turn_that_waits_is_next_when_it_may_start(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    scene.model.says = [VendorUnavailable("model_busy", retry_after=7), RuntimeError("a bug")]
    for _ in range(2):
        due = await scene.run(kernel)
        assert due is not None
        assert due > scene.clock()
        assert await scene.run(kernel) == due
        scene.clock.now = due
