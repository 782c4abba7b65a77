"""The commands of the page, typed at a terminal whose vendors are the emulators, and the findings that it shows."""

import asyncio
import json
import shlex
import venv
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from kernelctl import terminal
from kernelctl.kernelctl import main
from tests.documents.page import ROOT, Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.unit.kernelctl.vendors import Vendors, vendors


async def typed(command: str, answers: str = "") -> Result:
    program, *words = shlex.split(command)
    assert program == "kernelctl"
    return await asyncio.to_thread(CliRunner().invoke, main, words, input=answers)


async def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "width", lambda: 80)
    with Page("docs/how-to/set-up-and-check.md") as page:
        async with vendors(tmp_path) as real:
            finds_the_command(page.take("sh"), tmp_path)
            await writes_the_settings(page, real, monkeypatch)
            await lists_missing_answers(page)
            await checks_the_set_up(page, real)
        checks_each_container(page.take("sh"))


def finds_the_command(command: str, folder: Path) -> None:
    venv.create(folder / ".venv")
    program = folder / ".venv" / "bin" / "kernelctl"
    program.touch(mode=0o755)
    assert printed(f"{command}\ncommand -v kernelctl", folder) == f"{program}\n"


async def writes_the_settings(page: Page, real: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    save(f"WHATSAPP_API_BASE_URL={real.emulators.url}/graph\n")
    secret = real.values["WHATSAPP_APP_SECRET"]
    whatsapp = (real.values["WHATSAPP_ACCESS_TOKEN"], real.values["WHATSAPP_PHONE_NUMBER_ID"], "5" * 12, "n", secret)
    answers = "\n".join(["real", *whatsapp, "emulated", "", "emulated", "", "", "", "y", ""])
    with monkeypatch.context() as at_a_terminal:
        at_a_terminal.setattr(terminal, "is_interactive", lambda: True)
        told = await typed(page.take("sh"), answers)
    assert told.exit_code == 0, told.output
    assert page.take("text").rstrip() in told.stdout


async def lists_missing_answers(page: Page) -> None:
    told = await typed(page.take("sh"))
    assert told.exit_code == 2
    assert_shown(page.take("text"), told.stderr)


async def checks_the_set_up(page: Page, real: Vendors) -> None:
    real.emulators.whatsapp.account.fields.remove("messages")
    told = await typed(page.take("sh"))
    assert told.exit_code == 1
    assert page.take("text").rstrip() in told.stdout
    chosen = json.loads((await typed(page.take("sh"))).stdout)
    assert {check["area"] for check in chosen["checks"]} == {"WhatsApp", "Public address"}


def checks_each_container(commands: str) -> None:
    """Both services are in docker-compose.yml under these names."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for line in commands.splitlines():
        *_, service, program, command = line.split()
        assert service in services
        assert f"{program} {command}" == "kernelctl doctor"


def save(text: str) -> None:
    Path(".env").write_text(text)
