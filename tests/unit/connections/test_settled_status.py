"""A pending account is looked at again, a fixed number of times."""

from __future__ import annotations

import pytest

from kernel_service.connections.settled_status import CHECK_INTERVAL_SECONDS, CHECKS, settled_status
from kernel_service.errors import VendorUnavailable


class Vendor:
    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.slept: list[float] = []

    async def status(self) -> str:
        if not self.statuses:
            raise VendorUnavailable("tools_unavailable")
        return self.statuses.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.parametrize("status", ["ACTIVE", "FAILED", "EXPIRED", "REVOKED", "INACTIVE", "a status of the future"])
async def test_a_settled_account_is_looked_at_once(status: str) -> None:
    vendor = Vendor(status)
    assert await settled_status(vendor.status, vendor.sleep) == status
    assert not vendor.slept


@pytest.mark.parametrize("pending", range(1, CHECKS))
async def test_a_pending_account_is_looked_at_until_it_settles(pending: int) -> None:
    vendor = Vendor(*["INITIALIZING", "INITIATED", "INITIATED"][:pending], "ACTIVE")
    assert await settled_status(vendor.status, vendor.sleep) == "ACTIVE"
    assert vendor.slept == [CHECK_INTERVAL_SECONDS] * pending


async def test_an_account_that_stays_pending_is_given_up() -> None:
    vendor = Vendor(*["INITIATED"] * (CHECKS + 1))
    assert await settled_status(vendor.status, vendor.sleep) == "INITIATED"
    assert len(vendor.statuses) == 1
    assert len(vendor.slept) == CHECKS - 1, "there is no wait after the last check"


async def test_a_vendor_that_goes_away_between_looks_decides_nothing() -> None:
    vendor = Vendor("INITIATED")
    with pytest.raises(VendorUnavailable):
        await settled_status(vendor.status, vendor.sleep)
