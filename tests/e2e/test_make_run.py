"""The processes that `make run` starts in a checkout, and `kernel-per-person` without one, in an empty directory."""

from pathlib import Path

from tests.e2e.local_runs import CHECKOUT, free_listens, from_the_checkout, installed, local_run, make_venv
from tests.e2e.phones import phones


async def test_a_message_is_answered_and_a_run_of_the_wheel_resumes_the_chat(tmp_path: Path) -> None:
    directory, listens = tmp_path / "empty", free_listens()
    directory.mkdir()
    url = f"http://{listens['EMULATORS_LISTEN']}"
    async with local_run(directory, from_the_checkout() | listens, *CHECKOUT) as first, phones(url) as people:
        alice = await people.add("Alice")
        assert "hello" in await people.ask(alice, "hello")
    assert first.returncode == 0
    _move_keys_into_files(directory)
    command = make_venv(tmp_path) / "kernel-per-person"
    async with local_run(directory, installed() | listens, command) as second, phones(url) as people:
        assert await people.add("Alice") == alice
        assert "message 2 of our chat" in await people.ask(alice, "hello again")
    assert second.returncode == 0


def _move_keys_into_files(directory: Path) -> None:
    """Each secret of the first run in a separate file, which .env names."""
    keys = directory / "var" / "keys.env"
    secrets = [line.split("=", 1) for line in keys.read_text().splitlines() if "=" in line]
    for name, secret in secrets:
        (directory / name.lower()).write_text(f"{secret}\n")
    (directory / ".env").write_text("".join(f"{name}_FILE={name.lower()}\n" for name, _ in secrets))
    keys.unlink()
