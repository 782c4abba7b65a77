"""docs/how-to/observability.md as run: the settings start the profile, and Prometheus takes the example."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.documents.page import ROOT, Page
from tests.unit.test_compose_script import Machine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_the_page_starts_the_monitoring_and_shows_a_scrape_that_works(tmp_path: Path) -> None:
    with Page("docs/how-to/observability.md") as page:
        starts(tmp_path, page.take("ini"), page.take("sh"))
        scrapes(tmp_path, page.take("yaml"))


def starts(folder: Path, settings: str, command: str) -> None:
    """The demo, since there is no key."""
    assert command == "make up\n"
    machine = Machine(folder)
    (folder / ".env").write_text(settings)
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert "Dashboard:          http://127.0.0.1:3000/" in done.stdout
    assert "--profile demo --profile monitoring up" in machine.told


def scrapes(folder: Path, config: str) -> None:
    jobs = {job["job_name"] for job in yaml.safe_load(config)["scrape_configs"]}
    ours = yaml.safe_load((ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    assert jobs == {job["job_name"] for job in ours} - {"proxy"}
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed; .ci/run installs it")
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(ROOT / "deploy" / "observability" / "alerts.yaml", folder)
    subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True, capture_output=True)
