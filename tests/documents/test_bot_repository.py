"""docs/how-to/bot-repository.md: the wheel runs without a checkout: alone, and with a bot's own files."""

from __future__ import annotations

import re
import tarfile
import zipfile
from typing import TYPE_CHECKING

import yaml

from deploy import dist
from serving.version import VERSION
from tests.documents.checkout import Checkout
from tests.documents.page import ROOT, Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.e2e.local_runs import free_listens, installed, local_run, make_venv
from tests.e2e.phones import phones
from tests.unit.test_settings_documented import SERVICES

PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}

if TYPE_CHECKING:
    from pathlib import Path

BOT = ROOT / "templates" / "bot"
PACKAGES = {
    "emulators",
    "kernel",
    "kernel_client",
    "kernel_service",
    "kernelctl",
    "local_run",
    "serving",
    "whatsapp_gateway",
}
COMMANDS = {"kernel-per-person", "kernel-service", "whatsapp-gateway", "kernelctl"}
FOR_DISTRIBUTORS = ("README.md", "LICENSE", "CHANGELOG.md", ".env.example", "requirements.txt", "protos/kernel/v1/kernel.proto", "protos/generate.py", "templates/bot/bot/tools.py")  # fmt: skip  # noqa: E501


async def test_the_page(tmp_path: Path) -> None:
    checkout, bot, empty = tmp_path / "checkout", tmp_path / "my-bot", tmp_path / "empty"
    checkout.mkdir()
    empty.mkdir()
    listens = free_listens()
    environment, url = installed() | listens, f"http://{listens['EMULATORS_LISTEN']}"
    with Page("docs/how-to/bot-repository.md") as page:
        printed(page.take("sh"), checkout, Checkout(checkout).environment)
        [wheel] = (bot / "wheels").glob("*.whl")
        [sdist] = (checkout / "dist").glob("*.tar.gz")
        check_wheel(wheel)
        check_sdist(sdist)
        commands = make_venv(bot / ".venv", wheel)
        (commands.parent / "installed").touch()  # so that nothing is installed from an index
        assert {path.name for path in commands.iterdir()} >= COMMANDS

        async with local_run(empty, environment, commands / "kernel-per-person") as run, phones(url) as people:
            alice = await people.add("Alice")
            assert "hello" in await people.ask(alice, "hello")
            for service in ("kernel_service", "whatsapp_gateway"):
                answer, kill = await people.ask_while_away(alice, "and now", service)
                assert "“and now”" in answer
                assert (kill["service"], kill["answers"], kill["twice"]) == (service, 1, 0)
        assert run.returncode == 0

        assert " passed" in printed(page.take("sh"), bot, environment)
        printed("make .env", bot, environment)
        move_into_files(empty / "var", bot)
        async with local_run(bot, environment, "sh", "-c", f"exec {page.take('sh')}") as run, phones(url) as people:
            assert await people.add("Alice") == alice
            answer = await people.ask(alice, page.take("text").strip())
            assert_shown(page.take("text"), answer)
            assert "message 5 of our chat" in await people.ask(alice, "hello again")
        assert page.take("python") in (bot / "tests" / "test_tools.py").read_text()


def move_into_files(var: Path, bot: Path) -> None:
    """The data of another run, and each of its secrets in a separate file, which .env names."""
    var.rename(bot / "var")
    secrets = [line.split("=", 1) for line in (bot / "var" / "keys.env").read_text().splitlines() if "=" in line]
    (bot / "var" / "keys.env").unlink()
    with (bot / ".env").open("a") as env:
        for name, secret in secrets:
            (bot / name.lower()).write_text(f"{secret}\n")
            env.write(f"{name}_FILE={name.lower()}\n")


def check_wheel(wheel: Path) -> None:
    """It holds all that the checkout's packages hold, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert {name.partition("/")[0] for name in names} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES - {"kernel"}} | {"kernel/v1/py.typed"} <= names
    tracked = dist.tracked()
    assert names == {name.removeprefix("protos/gen/") for name in tracked if is_packed(name)}
    for field in ("License-Expression: MIT", "License-File: LICENSE", "Description-Content-Type: text/markdown"):
        assert f"\n{field}\n" in metadata


def is_packed(name: str) -> bool:
    return name.startswith("protos/gen/") or name.partition("/")[0] in PACKAGES


def check_sdist(sdist: Path) -> None:
    """It holds all that a distributor needs, and no tests. Nothing in it tells who built it, or when."""
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    [root] = {member.name.partition("/")[0] for member in members}
    names = {member.name.removeprefix(f"{root}/") for member in members}
    assert names >= set(FOR_DISTRIBUTORS)
    assert not {name for name in names if re.match("tests/|benchmarks/|checks/|build/", name)}
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {
        (0, 0, "", int(dist.epoch()))
    }


def test_the_template_fits_this_release() -> None:
    project = (BOT / "pyproject.toml").read_text()
    assert f'"kernel-per-person=={VERSION}"' in project
    stack = yaml.safe_load((BOT / "compose.yaml").read_text())["services"]
    for service, settings in SERVICES.items():
        given = stack[service]["environment"].keys()
        known = {name.upper() for name in settings.model_fields}
        needed = {name.upper() for name, field in settings.model_fields.items() if field.is_required()}
        assert needed <= given <= known | PROXIES
    passed_on = {name for each in stack.values() for name, value in each["environment"].items() if value is None}
    example = set(re.findall(r"^(\w+)=", (BOT / ".env.example").read_text(), re.MULTILINE))
    assert example - {"CONNECT_PUBLIC_URL", "KERNEL_TOKEN"} <= passed_on


def test_the_templates_image_is_built_from_files_that_the_engine_is_sent() -> None:
    copied = re.findall(r"^COPY (.*) \S+$", (BOT / "Dockerfile").read_text(), re.MULTILINE)
    sent = {line[1:] for line in (BOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for line in copied for name in line.split()} == sent
    assert all((BOT / name).exists() for name in sent)
