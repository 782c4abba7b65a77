"""Settings come from the environment; an error names a bad setting and never shows its value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.demo import DEMO_SECRETS
from serving.own_certificate import ensure
from whatsapp_gateway.config import Settings, problems
from whatsapp_gateway.outbound.template_messages import Template

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
    assert settings.templates == []
    assert settings.whatsapp_messages_per_second == 80
    assert settings.whatsapp_phone_number_id == ("42",)


def test_several_numbers_and_plain_http(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WHATSAPP_PHONE_NUMBER_ID", "42, 43,42,")
    environment.setenv("WHATSAPP_API_BASE_URL", "http://emulators:8090/graph/")
    environment.setenv("GATEWAY_LISTEN", ":0")
    environment.setenv("WHATSAPP_TEMPLATE", "come_back:pt_BR")
    environment.setenv("WHATSAPP_REMINDER_TEMPLATE", "reminder:de")
    environment.setenv("KERNEL_ALLOW_INSECURE", "true")
    settings = Settings()
    assert settings.whatsapp_phone_number_id == ("42", "43")
    assert settings.whatsapp_api_base_url == "http://emulators:8090/graph"
    assert settings.gateway_listen == ("", 0)
    assert settings.templates == [
        Template("reminder", "de", takes_reminder=True),
        Template("come_back", "pt_BR", takes_reminder=False),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_LISTEN", "somewhere"),
        ("WHATSAPP_PHONE_NUMBER_ID", "hunter2"),
        ("WHATSAPP_PHONE_NUMBER_ID", ","),
        ("WHATSAPP_API_BASE_URL", "graph.facebook.com"),
        ("WHATSAPP_API_VERSION", "hunter2"),
        ("WHATSAPP_TEMPLATE", "hunter2"),
        ("WHATSAPP_REMINDER_TEMPLATE", "hunter2:"),
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


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WHATSAPP_PHONE_NUMBER_ID", "+1 555 0100", "must be the phone number id of the API Setup"),
        ("WHATSAPP_API_BASE_URL", "graph.facebook.com", "must be an http or https address"),
        ("WHATSAPP_API_VERSION", "26", "must be a version of the Graph API, as v26.0"),
        ("WHATSAPP_TEMPLATE", "come_back", "must be name:language of a template, as reminder:en_US"),
        ("WHATSAPP_REMINDER_TEMPLATE", "Reminder:en", "must be name:language of a template, as reminder:en_US"),
        ("WHATSAPP_REMINDER_TEMPLATE", "reminder:english", "must be name:language of a template, as reminder:en_US"),
        ("WHATSAPP_MESSAGES_PER_SECOND", "1e-300", "must be from 0.1 to 10,000, or 0"),
    ],
)
def test_a_bad_setting_gets_a_sentence_that_says_what_to_do(
    environment: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError) as invalid:
        Settings()
    assert problems(invalid.value)[0].startswith(f"{name} {told}")


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KERNEL_TOKEN", "hunter2")
    assert "hunter2" not in repr(Settings())


@pytest.mark.slow
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


GOOD = "7d1f0c5ab9e2468f"
STRONG = {"KERNEL_TOKEN": GOOD, "WHATSAPP_APP_SECRET": "0a1b2c3d4e5f67890a1b2c3d4e5f6789"}
OFF_LOOPBACK = ["0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "my-machine:1", "[::ffff:10.0.0.1]:1"]


def refused() -> list[str]:
    with pytest.raises(ValidationError) as invalid:
        Settings()
    return problems(invalid.value)


def names(environment: pytest.MonkeyPatch, **settings: str) -> set[str]:
    for name, value in (STRONG | settings).items():
        environment.setenv(name, value)
    return {problem.split()[0] for problem in refused()}


@pytest.mark.parametrize("listen", OFF_LOOPBACK)
@pytest.mark.parametrize("listens", ["GATEWAY_LISTEN", "GATEWAY_METRICS_LISTEN"])
def test_each_listening_address_counts_as_exposed(environment: pytest.MonkeyPatch, listens: str, listen: str) -> None:
    assert names(environment, **{listens: listen, "KERNEL_TOKEN": "short"}) == {"KERNEL_TOKEN"}
    assert f"other machines reach {listens}: " in refused()[0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("KERNEL_TOKEN", "fifteen-letters"),
        ("KERNEL_TOKEN", DEMO_SECRETS["KERNEL_TOKEN"]),
        ("KERNEL_TOKEN", "<16 characters or more>"),
        ("WHATSAPP_APP_SECRET", "secret"),
        ("WHATSAPP_APP_SECRET", f"{STRONG['WHATSAPP_APP_SECRET']},short"),
        ("WHATSAPP_APP_SECRET", DEMO_SECRETS["WHATSAPP_APP_SECRET"]),
        ("WHATSAPP_APP_SECRET", "0" * 32),
        ("WHATSAPP_VERIFY_TOKEN", DEMO_SECRETS["WHATSAPP_VERIFY_TOKEN"]),
        ("WHATSAPP_ACCESS_TOKEN", DEMO_SECRETS["WHATSAPP_ACCESS_TOKEN"]),
    ],
)
def test_a_weak_secret_is_rejected_off_this_machine_and_not_shown(
    environment: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    assert names(environment, GATEWAY_LISTEN="0.0.0.0:1", **{setting: value}) == {setting}
    [problem] = refused()
    assert "other machines reach GATEWAY_LISTEN: " in problem
    assert "KERNEL_ALLOW_INSECURE=true" in problem
    assert value == "secret" or value not in problem
    environment.setenv("KERNEL_ALLOW_INSECURE", "true")
    Settings()
    environment.delenv("KERNEL_ALLOW_INSECURE")
    environment.setenv("GATEWAY_LISTEN", "127.0.0.1:1")
    Settings()


@pytest.mark.parametrize(
    "address",
    ["dns:///kernel_service:50051", "10.0.0.1:50051", "ipv4:127.0.0.1:1,10.0.0.1:1", "dns://10.0.0.1/localhost:1"],
)
def test_plain_text_to_another_machine_is_rejected(
    environment: pytest.MonkeyPatch, address: str, tmp_path: Path
) -> None:
    assert names(environment, KERNEL_ADDRESS=address) == {"KERNEL_ADDRESS"}
    assert "KERNEL_TLS_CA" in refused()[0]
    ensure(tmp_path / "ca.key", tmp_path / "ca.pem", ["localhost"])
    environment.setenv("KERNEL_TLS_CA", str(tmp_path / "ca.pem"))
    Settings()
    environment.setenv("KERNEL_TOKEN", "short")
    assert names(environment, KERNEL_TOKEN="short", KERNEL_ADDRESS=address) == {"KERNEL_TOKEN"}


@pytest.mark.parametrize(
    "content", [b"", b"hunter2", b"-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"]
)
def test_an_invalid_authority_is_named(environment: pytest.MonkeyPatch, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    environment.setenv("KERNEL_TLS_CA", str(tmp_path / "ca.pem"))
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_CA holds no certificate in PEM")
    assert "hunter2" not in problem


@pytest.mark.parametrize("address", ["dns:///localhost:50051", "unix:///run/kernel.sock", "[::1]:50051"])
def test_on_this_machine_plain_text_and_weak_secrets_are_allowed(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("KERNEL_ADDRESS", address)
    assert Settings().kernel_address == address


def test_all_errors_are_reported_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("WHATSAPP_PHONE_NUMBER_ID")
    wrong = {name: DEMO_SECRETS[name] for name in DEMO_SECRETS if name in NEEDED}
    wrong |= {"GATEWAY_LISTEN": ":1", "KERNEL_ADDRESS": "kernel:50051", "WHATSAPP_TEMPLATE": "?"}
    expected = (set(wrong) | {"WHATSAPP_PHONE_NUMBER_ID"}) - {"GATEWAY_LISTEN"}
    assert names(environment, **wrong) == expected
    assert len(refused()) == len(expected)


@pytest.mark.parametrize(
    ("setting", "secrets"),
    [("one", ["one"]), ("new,old", ["new", "old"]), (" new , old ", ["new", "old"]), ("a,b,a", ["a", "b"])],
)
def test_app_secrets(environment: pytest.MonkeyPatch, setting: str, secrets: list[str]) -> None:
    environment.setenv("WHATSAPP_APP_SECRET", setting)
    assert [secret.get_secret_value() for secret in Settings().whatsapp_app_secret] == secrets
    assert "new" not in repr(Settings())


@pytest.mark.parametrize("setting", ["hunter2,", ",hunter2", "hunter2,,other", "hunter2, ,other", ",", "hunter2 other"])
def test_app_secrets_with_an_empty_entry(environment: pytest.MonkeyPatch, setting: str) -> None:
    environment.setenv("WHATSAPP_APP_SECRET", setting)
    [problem] = refused()
    assert problem.startswith("WHATSAPP_APP_SECRET has a")
    assert "hunter2" not in problem
