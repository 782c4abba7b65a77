import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from local_run.__main__ import main, serve
from local_run.keys import local_keys
from tests.ports import free_port
from tests.read_only import enterable, read_only
from tests.unit.local_run.services import DIES, SERVES, service


async def test_child_exit_terminates_siblings_and_propagates_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    services = [service(tmp_path, "serves", SERVES), service(tmp_path, "dies", DIES)]
    async with asyncio.timeout(20):
        code = await serve(services, asyncio.Event(), ready=lambda: None)
    out = capfd.readouterr().out
    assert code == 2
    assert re.search(r"^dies +\| no such setting$", out, re.MULTILINE)
    assert "dies ended with exit code 2" in out


async def test_shutdown_ends_children_in_reverse_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    services = [service(tmp_path, name, SERVES) for name in ("first", "second", "third")]
    told = asyncio.Event()
    async with asyncio.timeout(20):
        code = await serve(services, told, ready=told.set)
    lines = capfd.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines if line.endswith("| ended")] == ["third", "second", "first"]


def test_an_occupied_port_is_named_with_the_setting_that_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN", "EMULATORS_LISTEN"):
        monkeypatch.setenv(name, f"127.0.0.1:{free_port()}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("GATEWAY_LISTEN", address)
        assert main() == 2
    problem = capsys.readouterr().err
    assert problem.startswith(f"GATEWAY_LISTEN: cannot listen on {address} (Address already in use). End what listens")
    assert "_METRICS_" not in problem
    assert "another local run" not in problem


def test_a_second_local_run_is_told_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as first:
        for name in ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN", "GATEWAY_LISTEN", "EMULATORS_LISTEN"):
            listener = first.enter_context(socket.create_server(("127.0.0.1", 0)))
            monkeypatch.setenv(name, f"127.0.0.1:{listener.getsockname()[1]}")
        assert main() == 2
    problems = capsys.readouterr().err.splitlines()
    assert len(problems) == 6
    assert problems[-1] == "Probably another local run serves here already."


def _file(folder: Path) -> None:
    (folder / "var").touch()


def _dangling(folder: Path) -> None:
    (folder / "var").symlink_to(folder / "away")


def _no_text(folder: Path) -> None:
    (folder / ".env").write_bytes(b"\xff\xfe")


def _no_settings(folder: Path) -> None:
    (folder / ".env").write_text('# mine\nLOG_LEVEL=debug\n\nno setting\nCOMPOSIO_API_KEY="ak_x\n\nLOG_FORMAT=text\n')


def _half_of_the_keys(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / "var" / "keys.env").write_text("KERNEL_ENCRYPTION_KEYS=local1:AAAA\n")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_file, "var: It is no folder. "),
        (_dangling, "var: It is no folder. "),
        (_no_text, ".env is not UTF-8 text: save it as UTF-8"),
        (_no_settings, ".env: not of the form NAME=value, or a quote is not closed, in line 4, 5"),
        (_half_of_the_keys, "var/keys.env lacks KERNEL_TOKEN and KERNEL_ADMIN_TOKEN: restore it"),
    ],
)
def test_a_file_that_cannot_be_read_or_kept_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path)
    assert main() == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_read_only_data_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_folder: bool
) -> None:
    with enterable() as folder:
        monkeypatch.chdir(folder)
        local_keys(Path("var/keys.env"))
        with read_only(folder / "var", whole=is_folder):
            assert main() == 2
    told = capsys.readouterr().err
    assert f"The folder {folder / 'var'}, or a file in it, cannot be written: Permission denied" in told
    assert "KERNEL_" not in told
