"""Services that are killed on request, and start again, while the others continue."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from local_run.__main__ import serve
from local_run.process import Process
from tests.unit.local_run.services import SERVES, service

ASKS = """
import json, os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
run = socket.socket(fileno=int(os.environ["EMULATORS_KILLS_FD"])).makefile("rw")
def told():
    print("told", json.dumps(event := json.loads(run.readline())), flush=True)
    return event
def kill(name):
    print(json.dumps({"kill": name}), file=run, flush=True)
told()
"""
KILLS = ASKS + "for name in ('nobody', 'asks', 'serves', 'serves'): kill(name)\ntold(), told()\nsignal.pause()"
KILLS_TWICE = ASKS + "for _ in range(2): kill('serves'), told(), told()\nsignal.pause()"
KILLS_ONE_THAT_RUNS = ASKS + (
    "import pathlib, time\nseen = pathlib.Path(os.environ['PYTHONPATH'], 'seen')\n"
    "while not seen.exists(): time.sleep(0.01)\n"
    "kill('serves')\nsignal.pause()"
)
WRITES_RUBBISH = ASKS + "run.write('[1]\\nnonsense\\n'); kill('serves'), told(), told()\nsignal.pause()"
FAILS_THE_SECOND_TIME = (
    "import os, pathlib, sys\nseen = pathlib.Path(os.environ['PYTHONPATH'], 'seen')\n"
    "if seen.exists(): sys.exit(3)\nseen.touch()\n" + SERVES
)


async def run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], asks: str, serves: str = SERVES, *, returns: int = 1
) -> tuple[int, str]:
    """The exit code and the output of a run that is told to end once the service has come back so often."""
    told, out = asyncio.Event(), ""
    services = [service(tmp_path, "asks", asks, may_kill=True), service(tmp_path, "serves", serves)]
    async with asyncio.timeout(30):
        serving = asyncio.create_task(serve(services, told, ready=lambda: None))
        while out.count('"seconds"') < returns and not serving.done():
            await asyncio.wait([serving], timeout=0.05)
            out += capfd.readouterr().out
        told.set()
        code = await serving
    return code, out + capfd.readouterr().out


@pytest.mark.parametrize(("asks", "kills"), [(KILLS, 1), (KILLS_TWICE, 2), (WRITES_RUBBISH, 1)])
async def test_a_killed_service_starts_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], asks: str, kills: int
) -> None:
    """Names of others, rubbish, and a second request while it is on its way back change nothing."""
    code, out = await run(tmp_path, capfd, asks, returns=kills)
    assert code == 0
    assert out.count("serves is killed on request") == kills
    assert out.count("serves           | began") >= kills
    assert out.count("serves           | ended") == 1


async def test_a_service_that_is_to_end_while_it_comes_back_ends(tmp_path: Path) -> None:
    process = await Process.start(service(tmp_path, "serves", SERVES))
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        await process.ready(session)
        restarting = asyncio.create_task(process.restart_killed())
        await asyncio.sleep(0)  # the kill is sent, and nothing has started instead
        await process.end()
        await restarting
        assert process.ended.done()


async def test_one_that_fails_after_a_kill_ends_the_run_with_its_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out = await run(tmp_path, capfd, KILLS_ONE_THAT_RUNS, FAILS_THE_SECOND_TIME)
    assert code == 3
    assert "serves ended with exit code 3" in out
