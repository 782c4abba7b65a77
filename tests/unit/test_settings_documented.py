"""Each setting that a service reads is explained in the reference and .env.example, and reaches it in containers."""

import re
from pathlib import Path

import pytest
import yaml

from kernel_service.config import Settings as KernelSettings
from serving.secret_files import secret_fields
from whatsapp_gateway.config import Settings as GatewaySettings

SERVICES: dict[str, type[KernelSettings | GatewaySettings]] = {
    "kernel_service": KernelSettings,
    "whatsapp_gateway": GatewaySettings,
}
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


@pytest.mark.parametrize("service", SERVICES)
def test_compose_mounts_the_file_of_each_secret(service: str) -> None:
    stack = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    declared = stack["services"][service]
    secrets = secret_fields(SERVICES[service])
    assert sorted(declared["secrets"]) == sorted(secrets)
    for secret in secrets:
        given = f"{secret.upper()}_FILE"
        assert declared["environment"][given] == f"${{{given}:+/run/secrets/{secret}}}"
        assert stack["secrets"][secret] == {"file": f"${{{given}:-/dev/null}}"}
