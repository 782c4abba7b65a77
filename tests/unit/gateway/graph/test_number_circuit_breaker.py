"""A number that WhatsApp refuses to send for rests, then one tries for all; an operator is called once."""

import pytest

from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.number_circuit_breaker import TRIAL_SECONDS, NumberCircuitBreaker
from whatsapp_gateway.graph.retry_policy import CIRCUIT_OPEN_SECONDS
from whatsapp_gateway.metrics import Metrics


class Halting:
    """Halts of a number by a clock that is turned by hand."""

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


def test_it_rests_and_the_others_do_not(number: Halting) -> None:
    assert number.admit() == 0
    number.refuse()
    number.now += 100
    assert number.admit() == number.circuit_breaker.seconds_open("42") == CIRCUIT_OPEN_SECONDS - 100
    assert number.circuit_breaker.admit("43") == 0


def test_after_the_rest_one_tries_and_the_others_follow_once_it_was_let_through(number: Halting) -> None:
    number.refuse()
    number.now += CIRCUIT_OPEN_SECONDS
    assert [number.admit() for _ in range(3)] == [0, TRIAL_SECONDS, TRIAL_SECONDS]
    number.circuit_breaker.record_success("42")
    assert number.admit() == TRIAL_SECONDS  # a status may yet refuse it
    number.now += TRIAL_SECONDS
    assert [number.admit() for _ in range(3)] == [0, 0, 0]


def test_a_try_that_is_refused_begins_a_rest_and_no_new_alert(number: Halting) -> None:
    number.refuse()
    for _ in range(3):
        number.now += CIRCUIT_OPEN_SECONDS
        assert number.admit() == 0
        number.circuit_breaker.record_success("42")  # taken, and then refused by a status
        number.refuse()
        assert number.admit() == CIRCUIT_OPEN_SECONDS
    assert number.alerts() == 1


def test_a_try_of_which_nothing_is_heard_is_followed_by_another(number: Halting) -> None:
    number.refuse()
    number.now += CIRCUIT_OPEN_SECONDS
    for _ in range(3):
        assert [number.admit(), number.admit()] == [0, TRIAL_SECONDS]
        number.now += TRIAL_SECONDS


def test_what_left_before_the_halt_proves_nothing(number: Halting) -> None:
    number.refuse()
    number.circuit_breaker.record_success("42")
    number.now += CIRCUIT_OPEN_SECONDS
    assert [number.admit(), number.admit()] == [0, TRIAL_SECONDS]


def test_each_outage_is_one_alert_however_many_sends_it_refuses(number: Halting) -> None:
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
