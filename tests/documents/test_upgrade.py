"""The page's commands, with programs that record them: tests/e2e and tests/unit/deploy have what each does."""

import os
import shutil
from pathlib import Path

from tests.documents.page import ROOT, Page
from tests.documents.programs import path_with
from tests.documents.shell import printed
from tests.documents.test_kubernetes import RECORDED, rendering
from tests.unit.test_compose_script import ENGINE, Machine, complete


def test_the_page(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.env(**complete())
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    shutil.copytree(ROOT / "deploy" / "helm", tmp_path / "deploy" / "helm")
    (tmp_path / "values.yaml").write_text(
        "{image: {repository: r}, existingSecret: s, connectPublicUrl: 'https://connect.example.com'}"
    )
    scripts = {"docker": ENGINE.format(code=0, takes=0), "kubectl": RECORDED, "helm": rendering()}
    shell = {**os.environ, "PATH": path_with(tmp_path / "bin", **scripts)}
    with Page("docs/how-to/upgrade.md") as page:
        assert page.take("sh") == "make run\n"  # the tutorial's test runs it
        machine.runs("old", image="sha256:old")
        printed(page.take("sh"), tmp_path, shell)
        assert "stop old" in machine.told
        assert "kind: Deployment" in printed(page.take("sh"), tmp_path, shell)
        printed(page.take("sh"), tmp_path, shell)
        assert " down " in machine.told
        assert page.take("sh") == "helm rollback assistant\n"  # it needs a cluster
