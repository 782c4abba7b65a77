"""The kernel service's settings: a wrong one is named, and its value is never shown."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from kernel_service.api.peers import PeerTls
from kernel_service.config import Settings, problems
from serving.demo import DEMO_SECRETS
from serving.own_certificate import ensure

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = {
    "KERNEL_CHANNEL_TOKENS": "test=a-token-of-the-tests",
    "KERNEL_ENCRYPTION_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
    "OPENAI_API_KEY": "k",
    "COMPOSIO_API_KEY": "k",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KERNEL_", "CONNECT_", "OPENAI_", "COMPOSIO_"))]:
        monkeypatch.delenv(name)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("proxies", ["", "127.0.0.1", "127.0.0.1, 10.0.0.0/8", "::1,fd00::/8"])
def test_trusted_proxies(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("CONNECT_TRUSTED_PROXIES", proxies)
    assert Settings().connect_trusted_proxies == proxies


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "COMPOSIO_API_KEY"])
@pytest.mark.parametrize("key", ["sk-1\n", " sk-1", "\tsk-1\r\n"])
def test_blanks_around_a_vendors_key_are_left_out(monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> None:
    monkeypatch.setenv(name, key)
    assert getattr(Settings(), name.lower()).get_secret_value() == "sk-1"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_TRANSCRIBE_API_KEY", "COMPOSIO_API_KEY"])
@pytest.mark.parametrize("key", ["sk-\n1", "sk-\r1", "sk-\t1", "sk-\x7f1", "sk-1\u200b", "schlüssel", "“sk-1”"])
def test_a_vendors_key_that_no_header_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> None:
    monkeypatch.setenv(name, key)
    with pytest.raises(ValueError, match="holds a line break"):
        Settings()


@pytest.mark.parametrize("patterns", ["", "*", "whatsapp:*", "whatsapp:US.*, telegram:*,", "tele*", "[ab]?:Al B"])
def test_patterns_of_people(monkeypatch: pytest.MonkeyPatch, patterns: str) -> None:
    monkeypatch.setenv("KERNEL_ALLOWED_USERS", patterns)
    assert Settings().kernel_allowed_users == patterns


@pytest.mark.parametrize(
    "patterns",
    [",", " , ", "US.*", "+49170*", "49170*", "491701234567", "whatsapp: US.*", "WhatsApp:*", "whatsapp", ":*"],
)
def test_patterns_that_match_no_person_are_refused(monkeypatch: pytest.MonkeyPatch, patterns: str) -> None:
    monkeypatch.setenv("KERNEL_ALLOWED_USERS", patterns)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem == "KERNEL_ALLOWED_USERS must be patterns of channel:id with commas, as whatsapp:US.*,telegram:*"


@pytest.mark.parametrize("mode", ["destructive", "careful", "writes", "all"])
def test_approval_settings(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    assert Settings().kernel_approve == "careful"
    monkeypatch.setenv("KERNEL_APPROVE", mode)
    assert Settings().kernel_approve == mode


@pytest.mark.parametrize("mode", ["none", "Careful", "careful,writes", "0"])
def test_unknown_mode_is_refused(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("KERNEL_APPROVE", mode)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem == "KERNEL_APPROVE must be 'destructive', 'careful', 'writes' or 'all'"


@pytest.mark.parametrize("channel", ["*", "@10.0.0.1", "", "WhatsApp", "a b", "whats:app", "täst"])
def test_invalid_channel_names_are_refused(monkeypatch: pytest.MonkeyPatch, channel: str) -> None:
    """`*` is the operator, and a name that begins with @ is a caller without a token."""
    monkeypatch.setenv("KERNEL_CHANNEL_TOKENS", f"test=a-token-of-the-tests,{channel}=another-token-of-the-tests")
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert "each channel of a-z, 0-9, `_` and `-`" in problem
    assert "another" not in problem


def test_invalid_proxy_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_TRUSTED_PROXIES", "127.0.0.1,my-proxy")
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem.startswith("CONNECT_TRUSTED_PROXIES must be addresses or networks")
    assert "my-proxy" not in problem


HERE = ["http://localhost:8081", "http://127.0.0.1:8081", "http://127.9.9.9", "http://[::1]:8081", "http://a.localhost"]
THERE = [
    "http://connect.example.com",
    "HTTP://connect.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.nip.io",
    "http://10.0.0.1:8081",
    "http://0.0.0.0:8081",
    "http://[::ffff:127.0.0.1]:8081",
    "http://2130706433",
    "http://[fe80::1]:8081",
    "http://notlocalhost",
]
NO_SITES = [
    "http://127.0.0.1@evil.example",
    "https://user:word@connect.example.com",
    "https://connect.example.com/path",
    "https://connect.example.com?x",
    "https://connect.example.com#x",
    "https://connect.example.com:port",
    "https://connect.example.com:99999",
    "https://[::1",
    "https://:8081",
    "ftp://connect.example.com",
    "connect.example.org",
]


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_TRANSCRIBE_BASE_URL", "COMPOSIO_BASE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        " http://127.0.0.1:8000/v1/ ",
        "https://clerk:pw@gateway.example/openai/v1?api-version=preview",
        "http://[::1]:80",
    ],
)
def test_an_address_of_a_vendor(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    assert getattr(Settings(), name.lower()) == url.strip()


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_TRANSCRIBE_BASE_URL", "COMPOSIO_BASE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com/v1",
        "localhost:8000/v1",
        "ftp://api.openai.com",
        "https:///v1",
        "https://h:99999/v1",
        "https://[::1/v1",
        "/openai",
    ],
)
def test_an_address_that_no_request_can_have_is_named(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem.startswith(f"{name} must be an http or https address")
    assert url not in problem


@pytest.mark.parametrize("url", [*HERE, "https://connect.example.com", "https://10.0.0.1:8443/"])
def test_an_address_of_the_connect_pages(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", url)
    assert Settings().connect_url() == url.rstrip("/")


@pytest.mark.parametrize("url", [*THERE, *NO_SITES])
def test_unsafe_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", url)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [problem] = problems(refused.value)
    assert problem.startswith("CONNECT_PUBLIC_URL must be")
    assert url not in problem


@pytest.mark.parametrize("listen", ["10.0.0.1:8081", "connect.example.com:8081"])
def test_links_to_where_it_listens_off_this_machine_are_refused_too(
    monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    monkeypatch.setenv("CONNECT_LISTEN", listen)
    with pytest.raises(ValidationError):
        Settings()
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "https://connect.example.com")
    assert Settings().connect_url() == "https://connect.example.com"


def test_insecure_setting_allows_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "http://10.0.0.1:8081")
    monkeypatch.setenv("KERNEL_ALLOW_INSECURE", "true")
    assert Settings().connect_url() == "http://10.0.0.1:8081"


GOOD_TOKEN = "7d1f0c5ab9e2468f"
LISTENS = ["KERNEL_LISTEN", "CONNECT_LISTEN", "KERNEL_METRICS_LISTEN"]
OFF_LOOPBACK = ["0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "my-machine:1", "[::ffff:10.0.0.1]:1"]
ON_LOOPBACK = ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"]
WEAK = [
    ("KERNEL_ENCRYPTION_KEYS", f"k1:{base64.b64encode(bytes(32)).decode()}", "a simple pattern"),
    ("KERNEL_ENCRYPTION_KEYS", f"k1:{base64.b64encode(b'x' * 32).decode()}", "a simple pattern"),
    ("KERNEL_ENCRYPTION_KEYS", DEMO_SECRETS["KERNEL_ENCRYPTION_KEYS"], "is published"),
    ("KERNEL_ENCRYPTION_KEYS", DEMO_SECRETS["KERNEL_ENCRYPTION_KEYS"].replace("demo:", "mine:"), "is published"),
    ("KERNEL_CHANNEL_TOKENS", f"whatsapp={GOOD_TOKEN},telegram={DEMO_SECRETS['KERNEL_TOKEN']}", "telegram"),
    ("KERNEL_CHANNEL_TOKENS", "terminal=<16 characters or more>", "is published"),
    ("KERNEL_CHANNEL_TOKENS", "telegram=token-of-16-or-more", "is published"),
    ("KERNEL_CHANNEL_TOKENS", "telegram=aaaaaaaaaaaaaaaaaaaa", "a simple pattern"),
    ("KERNEL_ADMIN_TOKEN", "fifteen-letters", "fewer than 16"),
    ("KERNEL_ADMIN_TOKEN", "#", "fewer than 16"),
    ("KERNEL_ADMIN_TOKEN", "a-token-of-the-tests", "a channel's token"),
    ("KERNEL_ADMIN_TOKEN", DEMO_SECRETS["KERNEL_ADMIN_TOKEN"], "is published"),
    ("COMPOSIO_WEBHOOK_SECRET", "short", "fewer than 16"),
    ("OPENAI_API_KEY", DEMO_SECRETS["OPENAI_API_KEY"], "is published"),
    ("COMPOSIO_API_KEY", DEMO_SECRETS["COMPOSIO_API_KEY"], "is published"),
    ("KERNEL_EMULATED_CLOCK", "/clock/demo", "move the time"),
    ("KERNEL_DATABASE_URL", "postgresql://kernel:demo@postgres/kernel", "the demo's password"),
]


@pytest.fixture
def with_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of service.key and service.pem."""
    ensure(tmp_path / "service.key", tmp_path / "service.pem", ["localhost"])
    monkeypatch.setenv("KERNEL_TLS_KEY", str(tmp_path / "service.key"))
    monkeypatch.setenv("KERNEL_TLS_CERT", str(tmp_path / "service.pem"))
    return tmp_path


def refused() -> list[str]:
    with pytest.raises(ValidationError) as error:
        Settings()
    return problems(error.value)


@pytest.mark.parametrize("listen", OFF_LOOPBACK)
def test_grpc_without_tls_is_refused_off_this_machine(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    monkeypatch.setenv("KERNEL_LISTEN", listen)
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_CERT is missing, and other machines reach KERNEL_LISTEN")
    assert "KERNEL_ALLOW_INSECURE=true" in problem


@pytest.mark.parametrize("advertised", ["10.0.0.7:50051", "kernel-1.example.com:50051"])
def test_an_address_off_this_machine_is_not_advertised_without_tls(
    monkeypatch: pytest.MonkeyPatch, advertised: str
) -> None:
    monkeypatch.setenv("KERNEL_ADVERTISE", advertised)
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_CERT is missing, and other machines reach KERNEL_ADVERTISE")


@pytest.mark.parametrize("advertised", ["0.0.0.0:50051", ":50051", "[::]:50051", "10.0.0.7:0", "10.0.0.7"])
def test_an_address_that_cannot_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch, advertised: str) -> None:
    monkeypatch.setenv("KERNEL_ADVERTISE", advertised)
    [problem] = refused()
    assert problem.startswith("KERNEL_ADVERTISE must ")


def test_the_nodes_trust_their_own_certificate_or_an_authority(monkeypatch: pytest.MonkeyPatch, with_tls: Path) -> None:
    own = (with_tls / "service.pem").read_bytes()
    assert Settings().peer_tls() == PeerTls(own, "localhost")
    ensure(with_tls / "authority.key", with_tls / "authority.pem", ["authority"])
    monkeypatch.setenv("KERNEL_TLS_CA", str(with_tls / "authority.pem"))
    assert Settings().peer_tls() == PeerTls((with_tls / "authority.pem").read_bytes(), "localhost")


def test_an_authority_without_a_certificate_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("KERNEL_TLS_CA", str(tmp_path / "empty.pem"))
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_CA holds no certificate in PEM")


@pytest.mark.parametrize("listen", ON_LOOPBACK)
def test_grpc_on_this_machine_needs_no_tls(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    monkeypatch.setenv("KERNEL_LISTEN", listen)
    assert Settings().tls() is None


@pytest.mark.parametrize("listen", OFF_LOOPBACK)
@pytest.mark.parametrize("setting", ["CONNECT_LISTEN", "KERNEL_METRICS_LISTEN"])
def test_other_listeners_need_no_tls(monkeypatch: pytest.MonkeyPatch, setting: str, listen: str) -> None:
    monkeypatch.setenv(setting, listen)
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "https://connect.example.com")
    assert Settings().tls() is None


@pytest.mark.usefixtures("with_tls")
@pytest.mark.parametrize("listens", LISTENS)
@pytest.mark.parametrize(("setting", "value", "reason"), WEAK)
def test_a_weak_secret_is_refused_off_this_machine_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, reason: str, listens: str
) -> None:
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "https://connect.example.com")
    monkeypatch.setenv(listens, "0.0.0.0:1")
    monkeypatch.setenv(setting, value)
    [problem] = refused()
    assert problem.startswith(f"{setting} ")
    assert reason in problem
    assert f"other machines reach {listens}" in problem
    assert value not in problem
    monkeypatch.setenv(listens, "127.0.0.1:1")
    Settings()


@pytest.mark.parametrize(("setting", "value", "_"), WEAK)
def test_insecure_setting_allows_weak_secrets_and_plain_grpc(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, _: str
) -> None:
    monkeypatch.setenv("KERNEL_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("KERNEL_ALLOW_INSECURE", "true")
    monkeypatch.setenv(setting, value)
    assert Settings().tls() is None


@pytest.mark.parametrize("value", ["", "false", "0", "no"])
def test_unknown_value_of_the_insecure_setting_allows_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KERNEL_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("KERNEL_ALLOW_INSECURE", value)
    assert len(refused()) == 1


def test_good_secrets_and_a_weak_key_that_is_being_replaced_start(
    monkeypatch: pytest.MonkeyPatch, with_tls: Path
) -> None:
    zero = base64.b64encode(bytes(32)).decode()
    monkeypatch.setenv("KERNEL_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("KERNEL_ADMIN_TOKEN", GOOD_TOKEN)
    monkeypatch.setenv("KERNEL_ENCRYPTION_KEYS", f"{NEEDED['KERNEL_ENCRYPTION_KEYS']},old:{zero}")
    pair = [(with_tls / name).read_bytes() for name in ("service.key", "service.pem")]
    assert Settings().tls() == tuple(pair)


@pytest.mark.parametrize("other", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
@pytest.mark.parametrize("file", ["service.key", "service.pem"])
def test_a_damaged_pair_is_named_before_anything_listens(with_tls: Path, file: str, other: bytes) -> None:
    (with_tls / file).write_bytes(other)
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_KEY does not fit the certificate, or one of them is not in PEM")


def test_files_of_two_pairs_are_named(with_tls: Path) -> None:
    certificate = (with_tls / "service.pem").read_bytes()
    (with_tls / "service.pem").unlink()
    ensure(with_tls / "service.key", with_tls / "service.pem", ["localhost"])
    (with_tls / "service.pem").write_bytes(certificate)
    [problem] = refused()
    assert problem.startswith("KERNEL_TLS_KEY does not fit the certificate")


def test_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, with_tls: Path) -> None:
    monkeypatch.setenv("KERNEL_TLS_KEY", str(with_tls / "misspelt.key"))
    assert refused() == ["KERNEL_TLS_KEY names a file that does not exist"]


@pytest.mark.slow
def test_all_wrong_settings_are_named_at_once_with_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPOSIO_API_KEY")
    for setting, value, _ in WEAK:
        monkeypatch.setenv(setting, value)
    monkeypatch.setenv("COMPOSIO_API_KEY", "")
    monkeypatch.setenv("KERNEL_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("CONNECT_PUBLIC_URL", "http://connect.example.com")
    monkeypatch.setenv("KERNEL_MAX_TURNS", "0")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-m", "kernel_service"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    named = {line.split()[1] for line in ended.stderr.splitlines()}
    assert named == {
        *(setting for setting, _, _ in WEAK),
        *("KERNEL_TLS_CERT", "CONNECT_PUBLIC_URL", "KERNEL_MAX_TURNS"),
    }
    assert len(ended.stderr.splitlines()) == len(named)
    assert all(line.startswith("kernel_service: ") for line in ended.stderr.splitlines())


@pytest.mark.parametrize(
    ("setting", "value", "unlimited"),
    [
        ("KERNEL_DRAIN_SECONDS", "1", True),
        ("KERNEL_ALLOWED_USERS", "whatsapp:US.*", False),
        ("KERNEL_DAILY_TOKENS", "1000", False),
        ("KERNEL_DAILY_TOKENS_PER_USER", "1000", False),
    ],
)
def test_unlimited_access_is_detected(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, *, unlimited: bool
) -> None:
    monkeypatch.setenv(setting, value)
    assert Settings().is_unlimited() is unlimited


def test_transcription_is_where_the_model_is_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().transcription_server() == ("k", "https://api.openai.com/v1")
    monkeypatch.setenv("OPENAI_TRANSCRIBE_BASE_URL", "http://127.0.0.1:9000/v1")
    assert Settings().transcription_server() == ("k", "http://127.0.0.1:9000/v1")
    monkeypatch.setenv("OPENAI_TRANSCRIBE_API_KEY", "other\n")
    assert Settings().transcription_server() == ("other", "http://127.0.0.1:9000/v1")


def test_an_endpoint_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API", "completions")
    with pytest.raises(ValidationError, match="openai_api"):
        Settings()
