"""One outage is two log lines, however many webhooks fail."""

import pytest

from tests.clock import Clock
from whatsapp_gateway.inbound.outage_log import OutageLog


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def outage(clock: Clock) -> OutageLog:
    return OutageLog(clock)


def test_failures_are_logged_at_the_beginning_and_counted_at_the_end(
    outage: OutageLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(500):
        outage.failed()
        clock.now += 0.1
    assert len(caplog.records) == 1
    clock.now += 5
    outage.passed()
    outage.passed()
    assert [record.getMessage() for record in caplog.records[1:]] == [
        "webhooks are accepted again: 500 were answered 503 within 50 s"
    ]


def test_an_intermittent_outage_is_one_outage(
    outage: OutageLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        outage.failed()
        clock.now += 1
        outage.passed()
    assert len(caplog.records) == 1


def test_the_next_outage_is_logged_again(outage: OutageLog, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        outage.failed()
        clock.now += 60
        outage.passed()
    assert len(caplog.records) == 4


def test_without_an_outage_there_is_no_log_line(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    outage.passed()
    assert caplog.records == []
