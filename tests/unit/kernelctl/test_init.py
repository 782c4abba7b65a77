from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values

from kernel_service.config import Settings as KernelSettings
from kernelctl import terminal
from kernelctl.checks.setup import environment
from kernelctl.kernelctl import main
from tests.unit.kernelctl.vendors import NUMBER, SECRETS, Vendors
from whatsapp_gateway.config import Settings as GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EMULATED = ("--whatsapp", "emulated", "--model", "emulated", "--composio", "emulated")
CREATED = {"KERNEL_ENCRYPTION_KEYS", "KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN", "POSTGRES_PASSWORD"}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def init(*words: str, answers: str = "", env: Mapping[str, str] | None = None) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["init", *words], input=answers, env=env)


def write(text: str, name: str = ".env") -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)


def content() -> str:
    return Path(".env").read_text()


def mode() -> int:
    return stat.S_IMODE(Path(".env").stat().st_mode)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def written() -> dict[str, str | None]:
    return dict(dotenv_values(".env"))


# --- without a terminal ------------------------------------------------------------------------------------------


async def test_missing_answers_are_listed_and_nothing_is_written() -> None:
    told = await init()
    assert told.exit_code == 2
    for option in ("--whatsapp", "--model", "--composio"):
        assert option in told.stderr
    real = await init("--whatsapp", "real", "--model", "emulated", "--composio", "emulated")
    assert real.exit_code == 2
    for setting in ("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_APP_SECRET", "App settings > Basic"):
        assert setting in " ".join(real.stderr.split())
    assert files() == []


async def test_an_emulated_set_up_creates_the_secrets_that_the_services_accept() -> None:
    told = await init(*EMULATED)
    assert told.exit_code == 0, told.stderr
    values = written()
    assert set(values) == CREATED
    assert mode() == 0o600
    assert not [value for value in values.values() if value and value in told.stdout]
    exposed = {"KERNEL_LISTEN": "0.0.0.0:1", "KERNEL_CHANNEL_TOKENS": f"whatsapp={values['KERNEL_TOKEN']}"}
    with (
        environment(
            {name: str(value) for name, value in values.items()} | exposed | {"KERNEL_ALLOW_INSECURE": "false"}
        ),
        pytest.raises(ValueError, match="kernel_tls_cert") as refused,
    ):
        KernelSettings(openai_api_key="sk-own", composio_api_key="ak_own")
    assert set(re.findall(r"^kernel_\w+", str(refused.value), re.MULTILINE)) == {"kernel_tls_cert"}


def real_settings(real: Vendors) -> dict[str, str]:
    asked = ("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_PHONE_NUMBER_ID", "KERNEL_TOOLKITS")
    vendors = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "COMPOSIO_API_KEY", "COMPOSIO_WEBHOOK_SECRET", "CONNECT_PUBLIC_URL")
    return {name: real.values[name] for name in (*asked, *vendors)}


def existing(real: Vendors) -> None:
    """The addresses of the emulators, which init does not ask for."""
    names = ("WHATSAPP_API_BASE_URL", "COMPOSIO_BASE_URL")
    write("# own\n" + "".join(f"{name}={real.values[name]}\n" for name in names))


async def test_a_real_set_up_from_the_environment(real: Vendors) -> None:
    existing(real)
    told = await init("--from-environment", "--yes", env=real_settings(real))
    assert told.exit_code == 0, told.output
    values = written()
    assert {**values, **real_settings(real)} == values
    assert values["WHATSAPP_VERIFY_TOKEN"]
    assert content().startswith("# own\n")
    assert not [secret for secret in SECRETS.values() if secret in told.output]
    assert NUMBER not in told.output
    with environment({name: value for name, value in values.items() if value}):
        assert GatewaySettings().whatsapp_phone_number_id == (NUMBER,)


async def test_a_wrong_answer_is_not_written_without_consent(real: Vendors) -> None:
    existing(real)
    before = content()
    wrong = real_settings(real) | {"WHATSAPP_APP_SECRET": "00112233445566778899aabb", "OPENAI_API_KEY": "sk-other"}
    told = await init("--from-environment", "--yes", env=wrong)
    assert told.exit_code == 1
    assert "App settings > Basic" in told.stdout
    assert "OPENAI_API_KEY is not valid" in told.stdout
    assert content() == before
    accepted = await init("--from-environment", "--yes", "--accept-findings", env=wrong)
    assert accepted.exit_code == 0
    assert written()["OPENAI_API_KEY"] == "sk-other"


async def test_an_existing_file_is_changed_only_with_consent_and_a_backup() -> None:
    write("KERNEL_TOKEN=0f8e1d7c6b5a4938\n# mine\n")
    refused = await init(*EMULATED)
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert content() == "KERNEL_TOKEN=0f8e1d7c6b5a4938\n# mine\n"
    assert (await init(*EMULATED, "--yes")).exit_code == 0
    assert written()["KERNEL_TOKEN"] == "0f8e1d7c6b5a4938"
    _, backup = files()
    assert dotenv_values(backup) == {"KERNEL_TOKEN": "0f8e1d7c6b5a4938"}
    again = await init(*EMULATED, "--yes")
    assert "nothing has changed" in again.stdout
    assert len(files()) == 2


async def test_keys_of_an_earlier_local_run_are_kept() -> None:
    """Another encryption key would make its database unreadable."""
    key = "local1:cThacjJuVnc3THhUZjNLZEptNUhzWWI5MXVXcFg0ZUc="
    write(f"KERNEL_ENCRYPTION_KEYS={key}\n", "var/keys.env")
    assert (await init(*EMULATED)).exit_code == 0
    assert written()["KERNEL_ENCRYPTION_KEYS"] == key


async def test_a_secret_in_a_file_stays_there(real: Vendors) -> None:
    existing(real)
    write("0f8e1d7c6b5a4938\n", "token")
    write("sk-old", "key")
    write(f"{content()}KERNEL_TOKEN_FILE=token\nOPENAI_API_KEY_FILE=key\n")
    told = await init("--from-environment", "--yes", env=real_settings(real))
    assert told.exit_code == 0, told.output
    values = written()
    assert "KERNEL_TOKEN" not in values
    assert (values["OPENAI_API_KEY"], values["OPENAI_API_KEY_FILE"]) == (real.values["OPENAI_API_KEY"], "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--set", "OPENAI_MODEL"), "NAME=VALUE"),
        (("--set", "PATH=/tmp"), "NAME=VALUE"),
        ((*EMULATED, "--set", "CONNECT_PUBLIC_URL=connect.example.com"), "CONNECT_PUBLIC_URL"),
        ((*EMULATED, "--set", "CONNECT_PUBLIC_URL=https://x.example/path"), "CONNECT_PUBLIC_URL"),
        ((*EMULATED, "--set", "KERNEL_DAILY_TOKENS=many"), "KERNEL_DAILY_TOKENS"),
        ((*EMULATED, "--set", "KERNEL_DAILY_TOKENS=-1"), "KERNEL_DAILY_TOKENS"),
        ((*EMULATED, "--set", "KERNEL_ALLOWED_USERS=a\nb"), "KERNEL_ALLOWED_USERS"),
    ],
)
async def test_an_answer_that_no_service_accepts_is_refused(words: tuple[str, ...], text: str) -> None:
    told = await init(*words)
    assert (told.exit_code, text in told.stderr) == (2, True)
    assert files() == []


# --- at a terminal ---------------------------------------------------------------------------------------------------


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)


def answers(real: Vendors, **other: str) -> str:
    given = {**real.values, **other}
    return "\n".join(
        [
            *("real", given["WHATSAPP_ACCESS_TOKEN"], given["WHATSAPP_PHONE_NUMBER_ID"], given["WHATSAPP_APP_SECRET"]),
            *("real", given["OPENAI_BASE_URL"], given["OPENAI_API_KEY"], "responses", ""),
            given["CONNECT_PUBLIC_URL"],
            *("real", given["COMPOSIO_API_KEY"], "asana", given["COMPOSIO_WEBHOOK_SECRET"], ""),
            *("whatsapp:US.*", "100000", "2000", "y", ""),
        ]
    )


@pytest.mark.usefixtures("at_a_terminal")
async def test_questions_are_asked_checked_and_written(real: Vendors) -> None:
    existing(real)
    told = await init(answers=answers(real))
    assert told.exit_code == 0, told.output
    values = written()
    assert values["KERNEL_ALLOWED_USERS"] == "whatsapp:US.*"
    assert values["WHATSAPP_APP_SECRET"] == real.values["WHATSAPP_APP_SECRET"]
    assert "OPENAI_MODEL" not in values  # the default
    assert told.stdout.count("Good.") == 7
    assert not [secret for secret in SECRETS.values() if secret in told.output]


@pytest.mark.usefixtures("at_a_terminal")
async def test_an_unchecked_answer_is_not_called_good(real: Vendors) -> None:
    existing(real)
    told = await init("--no-checks", answers=answers(real))
    assert told.exit_code == 0, told.output
    assert "Good." not in told.stdout
    assert "Checking" not in told.stdout


@pytest.mark.usefixtures("at_a_terminal")
async def test_a_wrong_secret_is_asked_again(real: Vendors) -> None:
    existing(real)
    wrong = "00112233445566778899aabb"
    given = answers(real).replace(
        real.values["WHATSAPP_APP_SECRET"], f"{wrong}\nn\n{real.values['WHATSAPP_APP_SECRET']}"
    )
    told = await init(answers=given)
    assert told.exit_code == 0, told.output
    assert "the app secret is not that of" in told.stdout
    assert written()["WHATSAPP_APP_SECRET"] == real.values["WHATSAPP_APP_SECRET"]
    assert wrong not in told.output


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize("answers_until", [0, 1, 4, 8])
async def test_an_end_of_the_input_changes_nothing(real: Vendors, answers_until: int) -> None:
    existing(real)
    before = content()
    told = await init(answers="\n".join(answers(real).split("\n")[:answers_until]))
    assert (told.exit_code, "Nothing was changed" in told.stderr) == (1, True)
    assert content() == before
    assert files() == [".env"]


@pytest.mark.usefixtures("at_a_terminal")
async def test_enter_keeps_what_there_is(real: Vendors) -> None:
    existing(real)
    assert (await init(answers=answers(real))).exit_code == 0
    before = content()
    told = await init(answers="\n" * 18)
    assert told.exit_code == 0, told.output
    assert "nothing has changed" in told.stdout
    assert content() == before


@pytest.mark.usefixtures("at_a_terminal")
async def test_a_vendor_can_be_emulated_again(real: Vendors) -> None:
    existing(real)
    assert (await init(answers=answers(real))).exit_code == 0
    told = await init(answers="emulated\nemulated\n\nemulated\n\n\n\ny\n")
    assert told.exit_code == 0, told.output
    values = written()
    keys = ("WHATSAPP_ACCESS_TOKEN", "OPENAI_API_KEY", "COMPOSIO_API_KEY")
    assert [values[name] for name in keys] == ["", "", ""]
    assert values["WHATSAPP_APP_SECRET"] == real.values["WHATSAPP_APP_SECRET"]


@pytest.mark.usefixtures("at_a_terminal")
async def test_control_c_during_a_check_changes_nothing(real: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    existing(real)
    before = content()
    monkeypatch.setattr("kernelctl.init.draft.Draft.check", interrupted)
    told = await init(answers=answers(real))
    assert (told.exit_code, "Nothing was changed" in told.stderr) == (1, True)
    assert (content(), files()) == (before, [".env"])


def test_control_c_at_a_real_terminal_changes_nothing(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    code = "from kernelctl.kernelctl import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, "init"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=_controlling(theirs))  # fmt: skip  # noqa: E501, PLW1509
    os.close(theirs)
    seen = b""
    while b"real or emulated" not in seen.partition(b"WhatsApp: ")[2]:
        seen += os.read(ours, 1024)
    ended = None
    while ended is None:  # readline misses a signal that comes just before it waits; a second one may meet the end
        os.write(ours, b"\x03")
        with suppress(subprocess.TimeoutExpired):
            ended = process.wait(timeout=5)
    assert ended == 1
    assert list(tmp_path.iterdir()) == []
    os.close(ours)


def _controlling(terminal_of_the_child: int) -> Callable[[], None]:
    def make() -> None:
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        fcntl.ioctl(terminal_of_the_child, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit that it is ignored

    return make
