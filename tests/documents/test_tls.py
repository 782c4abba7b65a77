"""docs/how-to/tls.md as run: the settings start the profile, and a real Caddy answers as the page says."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.documents.page import Page
from tests.integration.test_tls_proxy import Caddy
from tests.integration.world import whole_world
from tests.unit.test_compose_script import Machine, complete

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
DOMAIN = "https://bot.example.com"


async def test_the_page_publishes_the_service(tmp_path: Path) -> None:
    with Page("docs/how-to/tls.md") as page:
        await asyncio.to_thread(starts, tmp_path, page.take("ini"), page.take("sh"))
        await answers(tmp_path, page.take("sh"), page.take("text"))


def starts(folder: Path, settings: str, command: str) -> None:
    assert command == "make up\n"
    machine = Machine(folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in complete().items()) + settings)
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert "The profile tls publishes both as https." in done.stdout


async def answers(folder: Path, commands: str, told: str) -> None:
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed; .ci/run installs it")
    async with whole_world(folder) as world:
        hosts = {"CADDY_WEBHOOK": world.webhook_url, "CADDY_CONNECT": world.connect_url}
        (folder / "tls").mkdir()
        caddy = Caddy(folder / "tls", {name: url.split("/")[2] for name, url in hosts.items()})
        async with caddy.running():
            here = commands.replace(DOMAIN, f"--noproxy '*' --cacert {caddy.authority} {caddy.url('')}")
            assert here.count("localhost") == 2
            shell = await asyncio.create_subprocess_shell(here, stdout=asyncio.subprocess.PIPE)
            printed, _ = await shell.communicate()
    assert printed.decode() == told
