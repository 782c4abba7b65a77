"""A gate that lets everybody pass."""

from __future__ import annotations

import asyncio

from kernel_service.fairness.gate import Gate


def open_gate(vendor: str) -> Gate:
    return Gate(vendor, 0, 0, asyncio.get_running_loop())
