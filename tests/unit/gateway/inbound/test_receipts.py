"""Receipts of several webhooks share one call, and each webhook gets its own result."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pytest

from kernel_client import gathering
from kernel_client.connection import MOST_AT_ONCE
from kernel_client.errors import KernelError
from whatsapp_gateway.inbound.receipts import Receipts
from whatsapp_gateway.model.updates import Status

if TYPE_CHECKING:
    from whatsapp_gateway.kernel.calls import KernelCalls


class FakeKernel:
    """`refusals` maps a wamid to the reason with which a call that contains it is rejected."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.timeouts: list[float] = []
        self.refusals: dict[str, str] = {}
        self.fault: Exception | None = None

    async def report(self, statuses: Sequence[Status], timeout: float) -> None:
        self.calls.append([status.wamid for status in statuses])
        self.timeouts.append(timeout)
        if self.fault is not None:
            raise self.fault
        for status in statuses:
            if reason := self.refusals.get(status.wamid):
                raise KernelError(reason)


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def receipts(kernel: FakeKernel) -> Receipts:
    return Receipts(cast("KernelCalls", kernel), gather_seconds=0)


@pytest.fixture
async def busy(kernel: FakeKernel) -> Receipts:
    """It has just reported, and holds what comes next."""
    receipts = Receipts(cast("KernelCalls", kernel), gather_seconds=3600)
    await receipts.report(told("first"), 8)
    kernel.calls.clear()
    return receipts


def told(*wamids: str, state: str = "sent") -> list[Status]:
    return [Status(wamid, "", state) for wamid in wamids]


async def report(receipts: Receipts, *webhooks: Sequence[Status]) -> list[str]:
    """The result of each webhook: the reason of its error, the name of a fault, or "" for reported."""
    told = await asyncio.gather(*(receipts.report(statuses, 8) for statuses in webhooks), return_exceptions=True)
    return [one.reason if isinstance(one, KernelError) else type(one).__name__ if one else "" for one in told]


async def test_receipts_of_several_webhooks_share_a_call_in_order(receipts: Receipts, kernel: FakeKernel) -> None:
    assert await report(receipts, told("a", "b"), told("c"), told("d")) == ["", "", ""]
    assert kernel.calls == [["a", "b", "c", "d"]]
    assert await report(receipts, told("e")) == [""]
    assert kernel.calls[1:] == [["e"]]


async def test_a_call_has_a_maximum_size(receipts: Receipts, kernel: FakeKernel) -> None:
    many = told(*(f"w{number}" for number in range(MOST_AT_ONCE - 1)))
    assert await report(receipts, many, told("x", "y"), told("z")) == ["", "", ""]
    assert sorted(map(len, kernel.calls)) == [3, MOST_AT_ONCE - 1]


async def test_after_an_outage_all_webhooks_are_redelivered(receipts: Receipts, kernel: FakeKernel) -> None:
    kernel.refusals["b"] = "UNAVAILABLE"
    assert await report(receipts, told("a"), told("b")) == ["UNAVAILABLE"] * 2
    assert len(kernel.calls) == 1


async def test_a_permanently_rejected_receipt_does_not_affect_the_others(
    receipts: Receipts, kernel: FakeKernel
) -> None:
    kernel.refusals |= {"b": "FIELD_INVALID", "c": "UNAVAILABLE"}
    assert await report(receipts, told("a"), told("b"), told("c")) == ["", "FIELD_INVALID", "UNAVAILABLE"]
    assert kernel.calls[1:] == [["a"], ["b"], ["c"]]


async def test_the_call_ends_by_the_earliest_deadline(receipts: Receipts, kernel: FakeKernel) -> None:
    await asyncio.gather(*(receipts.report(told("a"), seconds) for seconds in (9, 3, 6)))
    assert 0 < kernel.timeouts[0] <= 3


async def test_a_fault_leaves_no_webhook_waiting(receipts: Receipts, kernel: FakeKernel) -> None:
    kernel.fault = ZeroDivisionError()
    assert await report(receipts, told("a"), told("b")) == ["ZeroDivisionError"] * 2


async def test_a_failure_is_reported_at_once_with_what_is_held(
    busy: Receipts, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "URGENT_SECONDS", 0)
    held = asyncio.create_task(busy.report(told("a"), 8))
    await asyncio.sleep(0)
    assert kernel.calls == []
    await busy.report(told("b", state="failed"), 8)
    await held
    assert kernel.calls == [["a", "b"]]


async def test_a_webhook_that_is_nearly_late_takes_no_time_from_the_others(busy: Receipts, kernel: FakeKernel) -> None:
    held = asyncio.create_task(busy.report(told("a"), 8))
    await asyncio.sleep(0)
    await busy.report(told("b"), 0.5)
    assert kernel.calls == [["b"]]
    assert not held.done()
    held.cancel()
