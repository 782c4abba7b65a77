"""The demo of docker-compose.yml in real containers, two of each service. The first run takes minutes: it builds."""

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.connect_browser import a_browser
from tests.e2e.phones import phones
from tests.integration.files import pdf
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SCALE = {"KERNEL_SERVICES": "2", "WHATSAPP_GATEWAYS": "2"}
PAIR = ("kernel_service", "whatsapp_gateway")
CONTAINERS = {"postgres-1", "proxy-1", "emulators-1", *(f"{service}-{number}" for service in PAIR for number in (1, 2))}
LONGEST_UP = 900
LONGEST_RESTART = 60
pytestmark = [pytest.mark.docker, pytest.mark.timeout(LONGEST_UP + 5 * LONGEST_RESTART)]
MOST_TO_NOTICE = 15
"""Seconds after which `docker compose ps` reports a hanging service."""
NANOSECONDS = 1_000_000_000
BILL = "Rent for May: 900 EUR"
TASK = "Prepare the demo"
BACK = re.compile(r'<a class="go" [^>]*href="([^"]+)"')


def why_not() -> str:
    """Why the test cannot run; empty if an engine answers and Compose is installed."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no Docker engine answers"
    return "" if compose_command() else "Docker Compose is not installed"


def compose_command() -> list[str]:
    """Compose as a plugin of docker, or as a separate program."""
    if not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        return ["docker", "compose"]
    found = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return [found] if found else []


class Demo:
    """A separate project on free ports."""

    def __init__(self, compose: list[str]) -> None:
        ports = {name: free_port() for name in ("EMULATORS_PORT", "CONNECT_PORT", "GATEWAY_PORT", "KERNEL_PORT")}
        self.emulators = f"http://localhost:{ports['EMULATORS_PORT']}"
        self.connect_pages = f"http://localhost:{ports['CONNECT_PORT']}"
        project = {"COMPOSE_PROJECT_NAME": f"kernel-test-{secrets.token_hex(4)}"}
        self._environment = {**os.environ, **project, **SCALE, **{name: str(port) for name, port in ports.items()}}
        self._command = [*compose, "--env-file", "deploy/demo.env"]

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_UP,
        )
        assert not done.returncode, done.stderr[-2000:]
        return done.stdout

    def stop_child(self, container: str) -> None:
        """Send SIGSTOP to the child of the container's first process."""
        stop = ["docker", "exec", self.containers()[container]["Id"], "bash", "-c"]
        subprocess.run([*stop, "kill -STOP $(cat /proc/1/task/1/children)"], check=True, capture_output=True)

    def containers(self) -> dict[str, dict[str, Any]]:
        """The engine's record of each container, by its service and number."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout)
        return {name_of(each["Config"]["Labels"]): each for each in found}


def name_of(labels: dict[str, str]) -> str:
    return "-".join(labels[f"com.docker.compose.{part}"] for part in ("service", "container-number"))


@pytest.fixture
def demo() -> Iterator[Demo]:
    if problem := why_not():
        pytest.skip(problem)
    running = Demo(compose_command())
    try:
        running.compose("up", "--build", "--detach", "--wait")
        yield running
    finally:
        running.compose("down", "--volumes")


async def test_the_demo_answers_from_hardened_containers_and_ends_in_order(demo: Demo) -> None:
    containers = demo.containers()
    assert {name: container["State"]["Health"]["Status"] for name, container in containers.items()} == dict.fromkeys(
        CONTAINERS, "healthy"
    )
    for container in containers.values():
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in container["HostConfig"]["SecurityOpt"]
        assert container["Config"]["User"] not in {"", "0", "root"}
        assert min(container["HostConfig"][limit] for limit in ("Memory", "NanoCpus", "PidsLimit")) > 0
        probe = container["Config"]["Healthcheck"]
        noticed = (probe["Interval"] + probe["Timeout"]) * probe["Retries"] / NANOSECONDS
        assert noticed <= MOST_TO_NOTICE
    async with phones(demo.emulators) as people:
        alice, bob = await people.add("Alice"), await people.add("Bob")
        assert "hello" in await people.ask(alice, "hello")
        assert "message 1 of our chat" in await people.ask(bob, "hello")
        bill = await people.ask_of_file(bob, pdf(BILL), "application/pdf", "How much is it?")
        assert BILL in bill
        link = (await people.answer(alice, f"create a task: {TASK}"))["link"]["url"]
        done = await people.ask(alice, await through_the_connect_pages(demo, link))
        assert done.startswith("Asana is connected.")
        assert TASK in done
        assert TASK in await people.ask(alice, "list my tasks")
        assert (await people.answer(bob, "list my tasks"))["link"]["url"].startswith(f"{demo.connect_pages}/connect/")
    for stopped in ("whatsapp_gateway-1", "kernel_service-1"):
        demo.stop_child(stopped)
        async with phones(demo.emulators) as people:
            assert "meanwhile" in await people.ask(await people.add("Dave"), "meanwhile")
        await restarted(demo, stopped)
    async with phones(demo.emulators) as people:
        assert "after all" in await people.ask(await people.add("Carol"), "after all")
    demo.compose("stop")
    codes = {name: container["State"]["ExitCode"] for name, container in demo.containers().items()}
    assert codes == dict.fromkeys(CONTAINERS, 0)
    assert " ERROR " not in demo.compose("logs", "emulators", *PAIR)


async def restarted(demo: Demo, container: str) -> None:
    """Wait until a container whose process is stopped, which it cannot detect itself, is started again."""
    async with asyncio.timeout(LONGEST_RESTART):
        while True:
            now = demo.containers()[container]
            if now["RestartCount"] == 1 and now["State"]["Health"]["Status"] == "healthy":
                return
            await asyncio.sleep(0.5)


def test_the_running_containers_are_listed_without_any_setting(tmp_path: Path) -> None:
    if problem := why_not():
        pytest.skip(problem)
    asked = subprocess.run(
        [*compose_command(), "--project-directory", str(tmp_path), "--file", str(ROOT / "docker-compose.yml"), "ps"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert "required" not in asked.stderr


async def through_the_connect_pages(demo: Demo, link: str) -> str:
    """Follow every address as a browser outside the containers does. Returns the text that the chat then contains."""
    assert link.startswith(f"{demo.connect_pages}/connect/")
    async with a_browser() as browser:
        await browser.open(f"{demo.connect_pages}/connect/style.css")
        assert browser.status == HTTPStatus.OK
        await browser.to_consent(link)
        assert browser.url.startswith(f"{demo.emulators}/")
        code = await browser.approve()
        assert browser.url.startswith(f"{demo.connect_pages}/connect/return/")
        back = BACK.search(browser.page)
        assert back, browser.page
        chat = unescape(back[1])
        assert chat.startswith(f"{demo.emulators}/wa.me/")
        await browser.open(chat)
        assert browser.status == HTTPStatus.OK
    [typed] = parse_qs(urlsplit(chat).query)["text"]
    assert code in typed
    return typed
