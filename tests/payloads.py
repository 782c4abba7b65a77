"""Payloads that people send in tests."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from kernel_service.ports.payloads import Payload

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Content


def sent(content: Content, at: float | None) -> Payload:
    """A payload sent at this time (epoch seconds) by its channel's clock; None: the channel gives no time."""
    return Payload(content, sent_at_ns=None if at is None else int(Fraction(at) * 10**9))
