"""Numbers that WhatsApp refuses to send for: nothing leaves them for a while, then one message tries for all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.outcomes import HALT_SECONDS
from whatsapp_gateway.metrics import Metrics

TRIAL_SECONDS: Final = 15.0
"""How long the others wait for what becomes of the one that tries. WhatsApp mostly takes a message first and refuses
it by a status: that comes meanwhile."""
_NEEDS_OPERATOR: Final = frozenset({Remedy.HALT, Remedy.HALT_PERSON})


@dataclass(slots=True)
class _Halt:
    """until: when the next may leave. tried: one was let out since; passed: and WhatsApp did not refuse the number."""

    until: float
    tried: bool = False
    passed: bool = False


class NumberCircuitBreaker:
    """One alert per outage. Each process detects the outage itself. now is a monotonic clock in seconds."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self._halts: dict[str, _Halt] = {}

    def left(self, number: str) -> float:
        """Seconds for which nothing may leave this number; 0: it may."""
        halt = self._halts.get(number)
        return max(halt.until - self._now(), 0.0) if halt else 0.0

    def admit(self, number: str) -> float:
        """As left. Whoever is let out first after a halt tries for all: the others wait for what becomes of it."""
        left, halt = self.left(number), self._halts.get(number)
        if halt is None or left:
            return left
        if halt.passed:
            del self._halts[number]
        else:
            halt.until, halt.tried = self._now() + TRIAL_SECONDS, True
        return 0.0

    def refused(self, number: str, code: str, remedy: Remedy) -> None:
        """WhatsApp refused something that this number sent."""
        if remedy not in _NEEDS_OPERATOR:
            return
        self._metrics.halts.labels(code).inc()
        if remedy is Remedy.HALT_PERSON or number not in self._halts:
            self._metrics.alert("account", f"WhatsApp refuses to send for number {number}: error {code}")
        if remedy is Remedy.HALT:
            self._halts[number] = _Halt(self._now() + HALT_SECONDS)

    def passed(self, number: str) -> None:
        """WhatsApp took something of this number, or refused that alone. What left before the halt proves nothing."""
        halt = self._halts.get(number)
        if halt is not None and halt.tried:
            halt.passed = True
