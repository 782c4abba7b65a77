from __future__ import annotations

import pytest

from kernel_service.connections.busy_retry import MAX_BUSY_SECONDS, retry_while_busy
from kernel_service.errors import Busy


class Vendor:
    """Lets us through when it has said often enough how long to wait."""

    def __init__(self, *waits: float) -> None:
        self._waits = list(waits)
        self.slept: list[float] = []

    async def do(self) -> str:
        if self._waits:
            raise Busy("tools_busy", self._waits.pop(0))
        return "done"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_refused_caller_returns_at_the_stated_time() -> None:
    vendor = Vendor(3.0, 0.5)
    assert await retry_while_busy(vendor.do, vendor.sleep) == "done"
    assert vendor.slept == [3.0, 0.5]


async def test_the_total_wait_is_limited() -> None:
    vendor = Vendor(MAX_BUSY_SECONDS - 1, 2.0)
    with pytest.raises(Busy):
        await retry_while_busy(vendor.do, vendor.sleep)
    assert vendor.slept == [MAX_BUSY_SECONDS - 1]
