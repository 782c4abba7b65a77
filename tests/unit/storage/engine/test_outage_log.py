"""One outage is two log lines, however many attempts fail in it, one after the other or at once."""

import pytest

from kernel_service.storage.engine import outage_log
from kernel_service.storage.engine.outage_log import OutageLog


def test_only_the_first_failure_and_the_first_success_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog("write")
    outage.succeeded()
    for _ in range(2):
        outage.failed("refused", outage_log.now())
    for _ in range(2):
        outage.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "storage: cannot write (refused); retrying until it succeeds",
        "storage: can write again",
    ]


def test_an_attempt_from_before_the_end_belongs_to_the_outage(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog("write")
    began = outage_log.now()
    outage.failed("refused", began)
    outage.succeeded()
    outage.failed("connection was closed", began)
    assert (outage.lasts, outage.count, len(caplog.records)) == (False, 1, 2)


def test_the_next_outage_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog("write")
    for _ in range(2):
        outage.failed("refused")
        outage.succeeded()
    assert (outage.count, len(caplog.records)) == (2, 4)
