"""The product's time limits, shortened, so that a run does not wait a minute and a half for a lease to expire.

They are constants of the product, set by name before its main() runs. If the product renames one, rename it here.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Final

Times = dict[str, float]


def short(*, lease: float = 2.0, grace: float = 2.0, call: float = 1.0) -> Times:
    """In seconds: the lease of a reply, the wait of an in-doubt reply for its status, the longest call of a tool."""
    return {
        "kernel_service.outbox.outbox:LEASE_SECONDS": lease,
        "kernel_service.ports.outbox:SENDING_SECONDS": lease,
        "kernel_service.outbox.outbox:GRACE_SECONDS": grace,
        "kernel_service.outbox.outbox:LONGEST_GRACE_SECONDS": 2 * grace,
        "kernel_service.outbox.outbox:POLL_SECONDS": 0.25,
        "kernel_service.sweeper:FAST_SECONDS": 0.25,
        "kernel_service.sweeper:SLOW_SECONDS": 0.25,
        "kernel_service.tools.toolbox:TOOL_SECONDS": call,
        "kernel_service.turns.quarantine:PROBATION_SECONDS": 0.5,
        "kernel_service.turns.calls.available_tools:LONGEST_CALL_SECONDS": call,
        "whatsapp_gateway.outbound.reply_sender:MARGIN": 0.5,
    }


OWN: Final[Times] = {}
"""The product's own times."""


def set_times(service: str, times: Times) -> None:
    """Set the times of one service. Raises AttributeError if it has no such constant."""
    for name, seconds in times.items():
        if name.startswith(f"{service}."):
            module, _, constant = name.partition(":")
            getattr(import_module(module), constant)
            setattr(import_module(module), constant, seconds)


def set_clock(ahead: float) -> None:
    """Set the wall clock of the kernel service ahead by this number of seconds."""
    serve = import_module("kernel_service.app").serve.__wrapped__
    serve.__kwdefaults__["wall"] = lambda: time.time() + ahead
