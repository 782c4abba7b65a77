"""An attempt that broke is counted, and told to the operator, unless its person has another owner or is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kernel_service.errors import LeaseLost, NotFound, StoreUnavailable
from kernel_service.ports.turns import Turn
from kernel_service.turns.execution.failed import FailedTurn

BROKEN = ValueError("broken")


@dataclass
class Parts:
    """The journal and the reports of a turn. `problem` is what the journal raises."""

    problem: Exception | None = None
    counted: list[str] = field(default_factory=list)

    async def fail(self, _: str) -> float:
        if self.problem is not None:
            raise self.problem
        return 7.0

    def count(self, outcome: str, **_: Any) -> None:
        self.counted.append(outcome)


def failed(parts: Parts) -> FailedTurn:
    return FailedTurn(Turn("t", "p", [], begun=True), parts, parts)  # type: ignore[arg-type]


async def test_it_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    assert await failed(parts).fail(BROKEN) == 7.0
    assert parts.counted == ["broke"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_it_is_logged_though_the_store_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreUnavailable):
        await failed(Parts(StoreUnavailable())).fail(BROKEN)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_attempt_of_a_deleted_person_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LeaseLost):
        await failed(Parts(LeaseLost())).fail(NotFound("MEDIA_NOT_FOUND", "no such file"))
    assert caplog.records == []
