"""The setting of the collector."""

from __future__ import annotations

import pytest

from serving import traces_setting
from serving.traces_setting import checked_traces


@pytest.mark.parametrize(
    "endpoint", ["", "http://localhost:4317", "https://collector.example.com:443", "http://[::1]:4317"]
)
def test_a_collector_or_none(endpoint: str) -> None:
    assert checked_traces(endpoint) == endpoint


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4317", "http://localhost", "http://:4317", "http://a:b", "grpc://a:1", "http://a:99999", "["],
)
def test_another_form_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="must be the address of a collector"):
        checked_traces(endpoint)


def test_without_the_packages_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_setting, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match="needs OpenTelemetry"):
        checked_traces("http://localhost:4317")
