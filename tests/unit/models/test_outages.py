from __future__ import annotations

import logging

import pytest

from kernel_service.models.outages import ALERTS, Outages


@pytest.mark.parametrize("problem", ALERTS)
def test_one_alert_for_each_outage(problem: str, caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages()
    for _ in range(2):
        for _ in range(5):
            outages.met(problem)
        assert outages.lasting == {problem: 5}
        outages.over()
        outages.over()
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING] * 2
    assert outages.refused == {problem: 10}


def test_a_temporary_outage_raises_no_alert(caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages()
    outages.met("model_unavailable")
    outages.over()
    assert (caplog.records, outages.refused) == ([], {"model_unavailable": 1})
