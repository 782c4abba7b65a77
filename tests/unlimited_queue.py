"""A fair queue that admits all calls at once."""

from __future__ import annotations

import asyncio

from kernel_service.rate_limits.fair_queue import FairQueue


def unlimited_queue(vendor: str) -> FairQueue:
    return FairQueue(vendor, 0, 0, asyncio.get_running_loop())
