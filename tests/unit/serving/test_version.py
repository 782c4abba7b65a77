"""An operator sees which release runs."""

import re
import tomllib

from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from checks.reference.metric_families import kernel_metrics
from kernelctl.kernelctl import main
from serving.version import VERSION
from tests.unit.test_settings_documented import ROOT
from whatsapp_gateway.metrics import Metrics as GatewayMetrics


def test_the_release_is_stated_in_one_place() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert CliRunner().invoke(main, ["--version"]).stdout == f"kernelctl, version {VERSION}\n"


def test_the_metrics_name_the_release() -> None:
    registry = CollectorRegistry()
    registry.register(kernel_metrics())
    for service, told in {"kernel": registry, "gateway": GatewayMetrics().registry}.items():
        line = re.escape(f'{service}_build_info{{version="{VERSION}"}} 1.0')
        assert re.search(f"^{line}$", generate_latest(told).decode(), re.MULTILINE)
