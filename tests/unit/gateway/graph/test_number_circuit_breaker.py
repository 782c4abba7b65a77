"""A number that WhatsApp rejects pauses, then one trial message is sent; an operator is alerted once."""

import pytest

from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.number_circuit_breaker import (
    SILENCES_TO_OPEN,
    SILENT_SECONDS,
    TRIAL_SECONDS,
    NumberCircuitBreaker,
)
from whatsapp_gateway.graph.retry_policy import CIRCUIT_OPEN_SECONDS
from whatsapp_gateway.metrics import Metrics


class Halting:
    """The circuits of numbers, with a manual clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.metrics = Metrics()
        self.circuit_breaker = NumberCircuitBreaker(self.metrics, lambda: self.now)

    def refuse(self, remedy: Remedy = Remedy.OPEN_CIRCUIT) -> None:
        self.circuit_breaker.record_refusal("42", "131048", remedy)

    def admit(self) -> float:
        return self.circuit_breaker.admit("42")

    def alerts(self) -> float:
        return self.metrics.registry.get_sample_value("gateway_alerts_total", {"reason": "account"}) or 0


@pytest.fixture
def number() -> Halting:
    return Halting()


def test_an_open_circuit_pauses_only_its_number(number: Halting) -> None:
    assert number.admit() == 0
    number.refuse()
    number.now += 100
    assert number.admit() == number.circuit_breaker.seconds_open("42") == CIRCUIT_OPEN_SECONDS - 100
    assert number.circuit_breaker.admit("43") == 0


def test_after_the_pause_a_trial_is_sent_and_the_others_follow_its_success(number: Halting) -> None:
    number.refuse()
    number.now += CIRCUIT_OPEN_SECONDS
    assert [number.admit() for _ in range(3)] == [0, TRIAL_SECONDS, TRIAL_SECONDS]
    number.circuit_breaker.record_success("42")
    assert number.admit() == TRIAL_SECONDS  # a status may still reject it
    number.now += TRIAL_SECONDS
    assert [number.admit() for _ in range(3)] == [0, 0, 0]


def test_a_rejected_trial_opens_the_circuit_again_without_a_new_alert(number: Halting) -> None:
    number.refuse()
    for _ in range(3):
        number.now += CIRCUIT_OPEN_SECONDS
        assert number.admit() == 0
        number.circuit_breaker.record_success("42")  # accepted, and then rejected by a status
        number.refuse()
        assert number.admit() == CIRCUIT_OPEN_SECONDS
    assert number.alerts() == 1


def test_a_trial_without_a_result_is_followed_by_another(number: Halting) -> None:
    number.refuse()
    number.now += CIRCUIT_OPEN_SECONDS
    for _ in range(3):
        assert [number.admit(), number.admit()] == [0, TRIAL_SECONDS]
        number.now += TRIAL_SECONDS


def test_one_answer_ends_a_silence_and_each_silence_is_one_alert(number: Halting) -> None:
    for _ in range(2):
        for _ in range(SILENCES_TO_OPEN - 1):
            number.circuit_breaker.record_silence("42")
        assert number.admit() == 0
        number.circuit_breaker.record_answer("42")
    for _ in range(SILENCES_TO_OPEN * 2):
        number.circuit_breaker.record_silence("42")
    assert (number.admit(), number.circuit_breaker.admit("43"), number.alerts()) == (SILENT_SECONDS, 0, 1)
    number.now += SILENT_SECONDS
    assert [number.admit() for _ in range(2)] == [0, SILENT_SECONDS]
    number.circuit_breaker.record_answer("42")
    assert [number.admit() for _ in range(2)] == [0, 0]


def test_a_silence_shortens_no_pause_of_a_refused_number(number: Halting) -> None:
    number.refuse()
    for _ in range(SILENCES_TO_OPEN):
        number.circuit_breaker.record_silence("42")
    number.circuit_breaker.record_answer("42")
    assert number.admit() == CIRCUIT_OPEN_SECONDS


def test_a_message_from_before_the_circuit_opened_proves_nothing(number: Halting) -> None:
    number.refuse()
    number.circuit_breaker.record_success("42")
    number.now += CIRCUIT_OPEN_SECONDS
    assert [number.admit(), number.admit()] == [0, TRIAL_SECONDS]


def test_each_outage_is_one_alert_however_many_sends_it_rejects(number: Halting) -> None:
    for _ in range(5):
        number.refuse()
    assert number.alerts() == 1
    number.now += CIRCUIT_OPEN_SECONDS
    number.admit()
    number.circuit_breaker.record_success("42")
    number.now += TRIAL_SECONDS
    number.admit()
    number.refuse()
    assert number.alerts() == 2


@pytest.mark.parametrize("remedy", [remedy for remedy in Remedy if remedy is not Remedy.OPEN_CIRCUIT])
def test_an_error_of_one_person_opens_no_circuit(number: Halting, remedy: Remedy) -> None:
    number.refuse(remedy)
    assert number.admit() == 0
    assert number.alerts() == (remedy is Remedy.HOLD_PERSON)
