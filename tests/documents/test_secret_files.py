"""docs/how-to/secret-files.md: its settings exist, and its blocks work."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import yaml

from kernel_service.config import Settings as KernelSettings
from local_run.plan import plan
from serving.secret_files import file_setting, secret_fields
from tests.documents.page import ROOT, Page
from tests.helm import rendered
from whatsapp_gateway.config import Settings as GatewaySettings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_names_each_secret() -> None:
    text = (ROOT / "docs/how-to/secret-files.md").read_text()
    introduction = text[: text.index("## A local run")]
    secrets = {*secret_fields(KernelSettings), *secret_fields(GatewaySettings)}
    named = set(re.findall(r"`(\w+_FILE)`", introduction)) - {file_setting("X")}
    assert named == {file_setting(secret.upper()) for secret in secrets}


def test_the_blocks_work(tmp_path: Path) -> None:
    with Page("docs/how-to/secret-files.md") as page:
        subprocess.run(["sh", "-c", page.take("sh")], input=b"sk-test\n", cwd=tmp_path, check=True)
        secret = tmp_path / "secrets" / "openai_api_key"
        assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("sk-test\n", 0o600)
        (tmp_path / ".env").write_text(page.take("ini"))
        run = plan(tmp_path, {})
        assert [vendor.name for vendor in run.emulated] == ["Composio", "WhatsApp"]
        assert page.take("sh") == "sudo chown 10001 secrets/*\n"  # needs another user
        chart = rendered(yaml.safe_load(page.take("yaml")))
    kernel = next(
        each for each in chart if each["kind"] == "Deployment" and "kernel-service" in each["metadata"]["name"]
    )
    assert "COMPOSIO_WEBHOOK_SECRET_FILE" in str(kernel)
