"""Each setting that a service reads is explained, and reaches it in containers."""

import re
from enum import Enum
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from checks.reference.settings import descriptions as texts
from kernel_service.config import Settings as KernelSettings
from serving.secret_files import secret_fields
from whatsapp_gateway.config import Settings as GatewaySettings

SERVICES: dict[str, type[KernelSettings | GatewaySettings]] = {
    "kernel_service": KernelSettings,
    "whatsapp_gateway": GatewaySettings,
}

ROOT = Path(__file__).parents[2]
FIELDS: dict[str, FieldInfo] = {
    name.upper(): field
    for settings in (GatewaySettings, KernelSettings)
    for name, field in settings.model_fields.items()
}
SETTINGS = sorted(FIELDS)
EXAMPLES = {"CONNECT_PUBLIC_URL", "GATEWAY_METRICS_LISTEN", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Of these .env.example shows an example, since they have no default."""
SHOWN = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("file", "written"),
    [("docs/reference/settings.md", "^###+ `{}`$"), (".env.example", r"^#?{}="), ("docker-compose.yml", "^ +{}:")],
    ids=lambda value: value if "." in value and "{" not in value else "",
)
def test_each_setting_is_documented_in(file: str, written: str, setting: str) -> None:
    assert re.search(written.format(setting), (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_each_setting_has_a_description(service: str) -> None:
    described = {name for each in SERVICES[service].__mro__ if hasattr(each, "model_fields") for name in texts(each)}
    assert sorted(SERVICES[service].model_fields.keys() - described) == []


@pytest.mark.parametrize("setting", sorted(set(SETTINGS) - EXAMPLES))
def test_the_example_shows_the_default(setting: str) -> None:
    assert SHOWN[setting] == in_words(FIELDS[setting])


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


def in_words(field: FieldInfo) -> str:
    default = "" if field.is_required() or field.default is None else field.default
    match default:
        case SecretStr():
            return default.get_secret_value()
        case Enum():
            return str(default.value)
        case bool():
            return str(default).lower()
    return str(default)
