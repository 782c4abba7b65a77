"""The channels of the page hold conversations with the whole product."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from mypy import api as mypy

from emulators.openai.turns import ToolCall
from kernel_client import KernelClient
from protos.generate import generate_typescript
from tests.documents.page import ROOT, Page
from tests.documents.shell import printed
from tests.integration.odd_service import odd_service
from tests.integration.world import whole_world
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.integration.world import World

TOKEN = "terminal-token-of-the-tests"
TOKENS = f"whatsapp=whatsapp-token-of-the-tests,terminal={TOKEN}"
PERSON = f"terminal:{os.getuid()}"
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH")


class Terminal:
    """A process of the page, as its person uses it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def read(self) -> str:
        assert self._process.stdout
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def ask(self, line: str) -> str:
        await self.write(line)
        return await self.read()

    async def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            assert await self._process.wait() == -signal.SIGINT

    async def end(self) -> str:
        async with asyncio.timeout(60):
            rest, _ = await self._process.communicate(b"")
        assert self._process.returncode == 0
        return rest.decode()


async def started(world: World, command: Sequence[str], folder: Path, token: str = TOKEN) -> Terminal:
    environment = {
        **os.environ,
        "TERMINAL_TOKEN": token,
        "KERNEL_ADDRESS": world.kernel_address,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdin=pipe, stdout=pipe)
    return Terminal(started)


def command(block: str) -> list[str]:
    """That of a block like `TERMINAL_TOKEN=… <command>`."""
    token, *rest = block.split()
    assert token == "TERMINAL_TOKEN=…"
    return rest


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS, kernel_approve_tools="disconnect") as running:
        yield running


async def converses(world: World, terminal: Terminal) -> None:
    """Errors, memory, buttons, a restart of the service, and a reply without a question."""
    assert "Nice to meet you" in await terminal.ask("my name is Ada")
    assert "`payload.text` is required" in await terminal.ask("")
    assert await terminal.ask("what is my name") == "Your name is Ada."
    await world.stop_kernel()
    await terminal.write("what is my name")
    await world.start_kernel()
    assert await terminal.read() == "Your name is Ada."
    async with KernelClient(world.kernel_address, TOKEN) as kernel:
        at = datetime.fromtimestamp(world.now() + 3600, UTC)
        await kernel.schedule(PERSON, "water the plants", is_reminder=True, at=at)
    world.pass_time(3601)
    assert "water the plants" in await terminal.read()
    world.emulators.openai.script([ToolCall("disconnect", {"toolkit": "asana"}), "May I?"])
    await terminal.write("disconnect asana")
    while await terminal.read() != "[Refuse]":
        pass
    assert await terminal.ask("Refuse") == "All right, I didn't do it."
    assert await terminal.end() == ""


def generated(command: str, folder: Path) -> None:
    """The command of `protoc` works, or at least the paths in it do."""
    if shutil.which("protoc") is None or shutil.which("grpc_ruby_plugin") is None:
        command = re.sub('--ruby_out.*plugin"?\\)"', "--descriptor_set_out=stubs.rb", command)
        command = command.replace("protoc", f"{sys.executable} -m grpc_tools.protoc", 1)
    (folder / "protos").symlink_to(ROOT / "protos")
    printed(command, folder)
    assert any(folder.rglob("*.rb"))


async def test_the_page(world: World, tmp_path: Path) -> None:
    with Page("docs/how-to/another-channel.md") as page:
        channel = page.take("python")
        (tmp_path / "channel.py").write_text(channel.replace("127.0.0.1:50051", world.kernel_address))
        python, *rest = command(page.take("sh"))
        assert python == ".venv/bin/python"
        await converses(world, await started(world, [sys.executable, *rest], tmp_path))

        assert page.take("sh").splitlines() == ["cd clients/typescript", "npm ci", "npm run build"]
        assert page.take("ts") == (ROOT / "clients/typescript/examples/terminal.ts").read_text()
        assert command(page.take("sh")) == RUN_TYPESCRIPT

        environment = {**os.environ, "TERMINAL_TOKEN": TOKEN}
        (tmp_path / ".venv").symlink_to(sys.prefix)

        async def curl(command: str) -> str:
            asked = command.replace("127.0.0.1:50051", world.kernel_address)
            asked = asked.replace('"hello"', '"my name is Bob"')
            return await asyncio.to_thread(printed, asked, tmp_path, environment)

        assert "Nice to meet you" in await curl(page.take("sh"))
        await asyncio.to_thread(generated, page.take("sh"), tmp_path)
        assert "water the plants" in await curl(page.take("sh"))


async def test_ctrl_c_ends_a_channel_that_waits_for_a_line(world: World, tmp_path: Path) -> None:
    channel = Page("docs/how-to/another-channel.md").take("python").replace("127.0.0.1:50051", world.kernel_address)
    (tmp_path / "channel.py").write_text(channel)
    examples = ROOT / "docs/examples"
    for program in (tmp_path / "channel.py", examples / "channel.py", examples / "terminal.py"):
        terminal = await started(world, [sys.executable, f"{program}"], tmp_path)
        assert "Nice to meet you" in await terminal.ask("my name is Ada")
        await terminal.interrupt()


def test_its_python_channel_is_typed(tmp_path: Path) -> None:
    """Strictly: the page's channel has no fault, and a wrong one is told."""
    with_fault = tmp_path / "wrong.py"
    with_fault.write_text(
        "from kernel_client import KernelClient\n\n\n"
        "async def main(kernel: KernelClient) -> None:\n"
        '    (reply,) = await kernel.send("terminal:1", 5)\n'
        "    print(reply.txt)\n"
    )
    (tmp_path / "right.py").write_text(Page("docs/how-to/another-channel.md").take("python"))
    strict = ["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    told, _, _ = mypy.run([*strict, str(tmp_path / "right.py"), str(with_fault)])
    faults = [line for line in told.splitlines() if "error:" in line]
    assert [line.split("[")[-1] for line in faults] == ["arg-type]", "attr-defined]"], told
    assert all("wrong.py" in line for line in faults)


async def test_a_channel_whose_token_is_unknown_says_why(world: World, tmp_path: Path) -> None:
    channel = Page("docs/how-to/another-channel.md").take("python").replace("127.0.0.1:50051", world.kernel_address)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        channel,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TERMINAL_TOKEN": "of-another-service", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin
    assert process.stderr
    process.stdin.write(b"hello\n")
    told = ""
    async with asyncio.timeout(60):
        while "KERNEL_CHANNEL_TOKENS" not in told:
            told = (await process.stderr.readline()).decode()
    process.kill()
    await process.wait()


# --- TypeScript -------------------------------------------------------------------------------------------------------

RUN_TYPESCRIPT = ["node", "dist/examples/terminal.js"]
FAULTS = """
import { KernelClient, KernelError } from "./dist/src/index.js";
const [address, token, nowhere, odd, silent, stopped, busy] = process.argv.slice(1);
async function fault(kernel, ...given) {
  try { return (await kernel.send(...given)).map((reply) => reply.text); }
  catch (error) { return error instanceof KernelError ? [error.reason, error.retryable] : [error.name]; }
}
const right = new KernelClient(address, token);
const wrong = new KernelClient(address, "of-another-service");
const absent = new KernelClient(nowhere, token);
function mistake(...given) { try { new KernelClient(...given); } catch (error) { return error.message; } }
const same = { messageId: "1" };
const unserved = new KernelClient(silent, token);
const opened = unserved.replies("telegram").next();
const blocked = new KernelClient(stopped, token);
const fresh = blocked.replies("telegram");
const before = (await fresh.next()).value;
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5500);
let resumed = before.isLive;
while (resumed) resumed = await new Promise((look) => setTimeout(() => look(before.isLive), 0));
const waiting = new KernelClient(busy, token);
const asked = (await waiting.replies("telegram").next()).value;
const breaking = new KernelClient(odd, token);
const events = [];
for await (const { event } of breaking.stream("terminal:1", "hello")) events.push(event.case);
console.log(JSON.stringify({
  empty: await fault(right, "terminal:1", ""),
  other: await fault(right, "whatsapp:1", "hello"),
  wrong: await fault(wrong, "terminal:1", "hello"),
  unknown: await wrong.replies("terminal").next().catch((error) => [error.reason, error.retryable]),
  again: await asked.retry("busy", { after: 5000 }),
  absent: await fault(absent, "terminal:1", "hello", { timeout: 300 }),
  aborted: await fault(right, "terminal:1", "hello", { signal: AbortSignal.abort() }),
  twice: await Promise.all([1, 2].map(() => fault(right, "terminal:2", "my name is Ada", same))),
  reused: await fault(right, "terminal:2", "other words", same),
  large: await fault(right, "terminal:1", "x".repeat(5_000_000)),
  damaged: await fault(breaking, "terminal:1", "hello", { timeout: 300 }),
  mistaken: await right.replies("telegram").next().catch((error) => [error.reason, error.retryable]),
  opened: (await opened).value.reply.id,
  resumed,
  events,
  mistakes: [mistake("kernel.example:50051", token), mistake(address, ""), mistake(address, token + "\\n")],
}));
for (const each of [right, wrong, absent, breaking, unserved, blocked, waiting]) await each.close();
"""


def built(folder: Path) -> Path:
    """A copy of the TypeScript client, built by the page's commands: that also checks its types."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed")
    copy = folder / "typescript"
    shutil.copytree(ROOT / "clients/typescript", copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    done = subprocess.run(["npm", "ci", "--prefer-offline"], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("the registry of npm cannot be reached")
    assert done.returncode == 0, done.stderr
    printed("npm run build", copy)
    return copy


@pytest.mark.slow
async def test_its_typescript_channel(world: World, tmp_path: Path) -> None:
    client = await asyncio.to_thread(built, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "TERMINAL_TOKEN"}
    unset = await asyncio.to_thread(
        subprocess.run,
        RUN_TYPESCRIPT,
        cwd=client,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "TERMINAL_TOKEN is not set" in unset.stderr
    await converses(world, await started(world, RUN_TYPESCRIPT, client))

    async with odd_service() as odd, odd_service() as silent, odd_service() as stopped, odd_service() as busy:
        odd.halves, odd.damages, silent.unserved = 1, True, 1
        busy.busy_for, busy.denials = 1, 1
        addresses = (
            world.kernel_address,
            TOKEN,
            f"127.0.0.1:{free_port()}",
            odd.address,
            silent.address,
            stopped.address,
            busy.address,
        )
        said = await asyncio.create_subprocess_exec(
            *("node", "--input-type=module", "--eval", FAULTS, "--", *addresses),
            cwd=client,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            told = json.loads((await said.communicate())[0])
    first, second = told.pop("twice")
    assert first == second
    plain, empty, broken = told.pop("mistakes")
    assert "rootCertificates" in plain
    assert "KERNEL_CHANNEL_TOKENS" in empty
    assert "line break" in broken
    assert busy.began[1] - busy.began[0] >= 1, "the service asked for a second"
    assert [ack.part.retry.retry_after.seconds for ack in busy.acks] == [5]
    assert told == {
        "empty": ["FIELD_REQUIRED", False],
        "other": ["CHANNEL_MISMATCH", False],
        "wrong": ["TOKEN_INVALID", True],
        "unknown": ["TOKEN_INVALID", True],
        "again": True,
        "absent": ["UNREACHABLE", True],
        "aborted": ["AbortError"],
        "reused": ["MESSAGE_ID_REUSED", False],
        "large": ["PAYLOAD_TOO_LARGE", False],
        "mistaken": ["CHANNEL_MISMATCH", False],
        "opened": "rp_1",
        "resumed": False,
        "damaged": ["UNAVAILABLE", True],
        "events": ["textDelta", "textReset", "textDelta", "completed"],
    }

    assert generate_typescript(tmp_path / "gen", client) == 0
    for made in (tmp_path / "gen").rglob("*.ts"):
        path = made.relative_to(tmp_path / "gen")
        assert made.read_text() == (client / "src/gen" / path).read_text(), f"{path}: run `make proto`"


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "clients/typescript/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all("resolved" not in package and package["integrity"] for package in packages.values())
