"""Each setting that a service reads is explained in the reference and .env.example, and reaches it in containers."""

import re
from pathlib import Path

import pytest

from kernel_service.config import Settings as KernelSettings
from whatsapp_gateway.config import Settings as GatewaySettings

ROOT = Path(__file__).parents[2]
SETTINGS = sorted({name.upper() for settings in (KernelSettings, GatewaySettings) for name in settings.model_fields})


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("file", "written"),
    [("docs/reference/settings.md", "`{}`"), (".env.example", r"^#?{}="), ("docker-compose.yml", "^ +{}:")],
    ids=lambda value: value if "." in value and "{" not in value else "",
)
def test_each_setting_is_documented_in(file: str, written: str, setting: str) -> None:
    assert re.search(written.format(setting), (ROOT / file).read_text(), re.MULTILINE)
