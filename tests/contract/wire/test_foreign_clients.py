"""Clients that know the contract only from the server's reflection call HandleMessage."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import TELEGRAM_TOKEN, World

BUF = Path(sys.executable).parent / "buf"
NODE = Path(__file__).parent / "node"


def request(message_id: str) -> str:
    """INLINE, since it names no reply mode."""
    return json.dumps({"user_id": "telegram:42", "message_id": message_id, "payload": {"text": "hello"}})


async def run(*command: str | Path, cwd: Path) -> tuple[int, str]:
    """Exit code, and output; stderr's if it failed."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=nothing, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode or 0, (err if process.returncode else out).decode()


async def buf_curl(world: World, token: str, body: str, cwd: Path) -> tuple[int, str]:
    return await run(
        BUF,
        "curl",
        "--protocol=grpc",
        "--http2-prior-knowledge",
        "--reflect",
        f"--header=authorization: Bearer {token}",
        f"--data={body}",
        f"http://127.0.0.1:{world.kernel.port}/kernel.v1.KernelService/HandleMessage",
        cwd=cwd,
    )


async def test_bufs_client_gets_an_answer_and_a_repeat_is_a_duplicate(world: World, tmp_path: Path) -> None:
    code, first = await buf_curl(world, TELEGRAM_TOKEN, request("m1"), tmp_path)
    assert code == 0, first
    _, second = await buf_curl(world, TELEGRAM_TOKEN, request("m1"), tmp_path)
    answer, repeat = json.loads(first), json.loads(second)
    assert answer["status"] == "MESSAGE_STATUS_COMPLETED"
    assert answer["replies"][0]["text"]
    assert (repeat["duplicate"], repeat["replies"]) == (True, answer["replies"])


async def test_bufs_client_reads_the_reason_of_an_error(world: World, tmp_path: Path) -> None:
    code, problem = await buf_curl(world, "not-one-of-the-tokens", request("m1"), tmp_path)
    assert code != 0
    assert json.loads(problem)["code"] == "unauthenticated"


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client with its packages. The first worker of a run installs them, for all."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    base = tmp_path_factory.getbasetemp()
    run_folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    client, problem = run_folder / "node", run_folder / "node.problem"
    with (run_folder / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not problem.exists():
            shutil.copytree(NODE, client)
            install = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
            installed = subprocess.run(install, cwd=client, capture_output=True, text=True, check=False)
            problem.write_text(installed.stderr[-200:] if installed.returncode else "")
    if problem.read_text():
        pytest.skip(f"npm cannot install grpc-js: {problem.read_text()}")
    return client


async def test_nodes_client_gets_an_answer(world: World, node_client: Path) -> None:
    address = f"127.0.0.1:{world.kernel.port}"
    code, out = await run("node", "client.js", address, TELEGRAM_TOKEN, request("m1"), cwd=node_client)
    assert code == 0, out
    answer = json.loads(out)
    assert answer["status"] == "MESSAGE_STATUS_COMPLETED"
    assert answer["replies"][0]["text"]


@pytest.mark.parametrize(
    ("token", "body", "meaning"),
    [
        ("not-one-of-the-tokens", request("m1"), {"reason": "TOKEN_INVALID", "retryable": True}),
        (TELEGRAM_TOKEN, request(""), {"reason": "FIELD_REQUIRED", "retryable": False}),
    ],
)
async def test_nodes_client_reads_retryability_from_the_descriptor(
    world: World, node_client: Path, token: str, body: str, meaning: dict[str, Any]
) -> None:
    code, out = await run("node", "client.js", f"127.0.0.1:{world.kernel.port}", token, body, cwd=node_client)
    assert code == 1
    assert json.loads(out) == meaning
