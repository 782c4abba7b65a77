"""No service outlives its local run, however the run ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from tests.unit.local_run.services import SERVES

RUN = """
import asyncio, sys
from pathlib import Path
from local_run.__main__ import serve
from tests.unit.local_run.services import service
folder, program = Path(sys.argv[1]), sys.argv[2]
services = [service(folder, name, program) for name in ("first", "second")]
asyncio.run(serve(services, asyncio.Event(), ready=lambda: print("ready", flush=True)))
"""
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('began', flush=True)\nsignal.pause()"
SECONDS = 20


def test_services_of_a_killed_run_end_in_order_by_themselves(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endings")
    endings = os.open(tmp_path / "endings", os.O_RDWR)
    program = SERVES.replace('print("ended", flush=True)', f"open({str(tmp_path / 'endings')!r}, 'w').write('x')")
    run = subprocess.Popen([sys.executable, "-c", RUN, tmp_path, program], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout
        assert "ready\n" in iter(run.stdout.readline, "")
        run.kill()
        for _ in ("first", "second"):
            assert select.select([endings], [], [], SECONDS)[0]
            os.read(endings, 1)
    finally:
        run.communicate()
        os.close(endings)


def test_service_that_does_not_end_is_killed(tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(DEAF)
    impatient = "from local_run import lifeline; lifeline.END_SECONDS = 0; lifeline.main()"
    service = subprocess.Popen(
        [sys.executable, "-c", impatient, "deaf"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout
    assert service.stdout.readline() == "began\n"
    service.communicate(timeout=SECONDS)
    assert service.returncode == -signal.SIGKILL
