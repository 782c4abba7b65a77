"""Compose kills no kernel service that still drains, whatever the drain is set to."""

import yaml

from kernel_service.config import Settings
from tests.unit.deploy.test_helm_chart import SECONDS_BESIDE_DRAIN
from tests.unit.test_settings_documented import ROOT


def test_a_kernel_service_may_drain_and_end_its_other_parts_before_it_is_killed() -> None:
    """Compose adds durations that stand side by side."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["kernel_service"]
    drain = Settings.model_fields["kernel_drain_seconds"].default
    assert service["stop_grace_period"] == f"{SECONDS_BESIDE_DRAIN / 60:g}m${{KERNEL_DRAIN_SECONDS:-{drain}}}s"
