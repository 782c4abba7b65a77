"""Settings come from the environment; a bad one is named and never shown."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from whatsapp_gateway.config import Settings
from whatsapp_gateway.templates import Template

NEEDED = {
    "KERNEL_TOKEN": "t",
    "WHATSAPP_ACCESS_TOKEN": "a",
    "WHATSAPP_APP_SECRET": "s",
    "WHATSAPP_VERIFY_TOKEN": "v",
    "WHATSAPP_PHONE_NUMBER_ID": "42",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith(("WHATSAPP_", "KERNEL_", "GATEWAY_"))]:
        monkeypatch.delenv(name)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_LISTEN", "")
    settings = Settings()
    assert settings.gateway_listen == ("127.0.0.1", 8080)
    assert settings.kernel_address == "dns:///localhost:50051"
    assert settings.whatsapp_api_base_url == "https://graph.facebook.com"
    assert settings.whatsapp_api_version == "v26.0"
    assert settings.kernel_tls_ca is None
    assert settings.template is None
    assert settings.whatsapp_messages_per_second == 80
    assert settings.whatsapp_phone_number_id == ("42",)


def test_several_numbers_and_plain_http(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WHATSAPP_PHONE_NUMBER_ID", "42, 43,42,")
    environment.setenv("WHATSAPP_API_BASE_URL", "http://emulators:8090/graph/")
    environment.setenv("GATEWAY_LISTEN", ":0")
    environment.setenv("WHATSAPP_TEMPLATE", "come_back:pt_BR")
    settings = Settings()
    assert settings.whatsapp_phone_number_id == ("42", "43")
    assert settings.whatsapp_api_base_url == "http://emulators:8090/graph"
    assert settings.gateway_listen == ("", 0)
    assert settings.template == Template("come_back", "pt_BR")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_LISTEN", "somewhere"),
        ("WHATSAPP_PHONE_NUMBER_ID", "hunter2"),
        ("WHATSAPP_PHONE_NUMBER_ID", ","),
        ("WHATSAPP_API_BASE_URL", "graph.facebook.com"),
        ("WHATSAPP_API_VERSION", "26"),
        ("WHATSAPP_TEMPLATE", "hunter2"),
        ("WHATSAPP_MESSAGES_PER_SECOND", "-1"),
        ("KERNEL_TLS_CA", "/nowhere/hunter2"),
    ],
)
def test_a_bad_setting_is_not_shown(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError) as invalid:
        Settings()
    assert invalid.value.errors()[0]["loc"][0] == name.lower()
    assert value not in str(invalid.value) or value == ","


def test_secrets_do_not_show(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KERNEL_TOKEN", "hunter2")
    assert "hunter2" not in repr(Settings())


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_missing_setting_is_named_and_the_process_ends(name: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    given = {key: value for key, value in NEEDED.items() if key != name}
    ended = subprocess.run(
        [sys.executable, "-m", "whatsapp_gateway"],
        env=environment | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == f"whatsapp_gateway: {name} is missing: set it\n"
