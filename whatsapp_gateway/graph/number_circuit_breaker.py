"""A circuit breaker per number: open after WhatsApp refused the number, half-open for one trial message.

It also opens, for seconds, for a number whose sends get no answer: they would occupy the places of the other numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.graph.advice import advice
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.retry_policy import CIRCUIT_OPEN_SECONDS
from whatsapp_gateway.metrics import Metrics

TRIAL_SECONDS: Final = 15.0
"""How long other messages wait for the result of the trial. WhatsApp usually accepts a message first, and rejects it by
a status that arrives in this time.
"""
SILENCES_TO_OPEN: Final = 10
"""Sends of a number that got no answer in time, one after the other."""
SILENT_SECONDS: Final = 5.0
"""How long such a number pauses, and how long the others then wait before they ask again."""
_NEEDS_OPERATOR: Final = frozenset({Remedy.OPEN_CIRCUIT, Remedy.HOLD_PERSON})


@dataclass(slots=True)
class _OpenCircuit:
    """until: when the next message may be sent. half_open: a trial was sent; trial_passed: it was not refused.

    is_silent: WhatsApp does not answer, and has refused nothing.
    """

    until: float
    half_open: bool = False
    trial_passed: bool = False
    is_silent: bool = False


class NumberCircuitBreaker:
    """One alert per outage. Each process detects the outage itself. now is a monotonic clock in seconds."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self.circuits: dict[str, _OpenCircuit] = {}
        """Those that are not closed, by number. Empty, as nearly always: each number may send."""
        self.silences: dict[str, int] = {}
        """The sends of each number without an answer since its last answer. Empty, as nearly always."""

    def seconds_open(self, number: str) -> float:
        """Seconds for which this number may send nothing; 0: it may send."""
        circuit = self.circuits.get(number)
        return max(circuit.until - self._now(), 0.0) if circuit else 0.0

    def admit(self, number: str) -> float:
        """As seconds_open(). The first message after an open period is the trial: others wait for its result."""
        left, circuit = self.seconds_open(number), self.circuits.get(number)
        if circuit is None or left:
            return min(left, SILENT_SECONDS) if circuit is not None and circuit.is_silent else left
        if circuit.trial_passed:
            del self.circuits[number]
        else:
            circuit.until, circuit.half_open = self._now() + TRIAL_SECONDS, True
        return 0.0

    def record_refusal(self, number: str, code: str, remedy: Remedy) -> None:
        """WhatsApp refused a message or file of this number."""
        if remedy not in _NEEDS_OPERATOR:
            return
        self._metrics.operator_errors.labels(code).inc()
        if remedy is Remedy.HOLD_PERSON or number not in self.circuits:
            self._metrics.alert(
                "account", f"WhatsApp refuses to send for number {number}: error {code}: {advice(code)}"
            )
        if remedy is Remedy.OPEN_CIRCUIT:
            self.circuits[number] = _OpenCircuit(self._now() + CIRCUIT_OPEN_SECONDS)

    def record_silence(self, number: str) -> None:
        """WhatsApp did not answer a send in time."""
        self.silences[number] = self.silences.get(number, 0) + 1
        circuit = self.circuits.get(number)
        if self.silences[number] < SILENCES_TO_OPEN or (circuit is not None and not circuit.is_silent):
            return
        if circuit is None:
            self._metrics.alert("account", f"WhatsApp answers no send of number {number}")
        self.circuits[number] = _OpenCircuit(self._now() + SILENT_SECONDS, is_silent=True)

    def record_answer(self, number: str) -> None:
        """WhatsApp answered a send: the silence of the number is over."""
        self.silences.pop(number, None)
        circuit = self.circuits.get(number)
        if circuit is not None and circuit.is_silent:
            del self.circuits[number]

    def record_success(self, number: str) -> None:
        """WhatsApp accepted a message of this number, or rejected it for a reason of the message itself.

        A message from before the circuit opened proves nothing.
        """
        circuit = self.circuits.get(number)
        if circuit is not None and circuit.half_open:
            circuit.trial_passed = True
