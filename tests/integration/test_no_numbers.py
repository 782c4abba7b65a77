"""After many kinds of activity, no phone number is in the database, logs, metrics or operators' views, nor in an id."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import sqlite3
from typing import TYPE_CHECKING

import aiohttp
import pytest

from emulators.whatsapp.errors import status_error
from kernel_service import texts
from serving.logs import OWN, JsonFormatter
from tests.integration.files import VOICE, pdf, png
from tests.integration.test_approvals import asked, connected, tapped
from tests.integration.test_kernelctl import ctl
from tests.integration.test_late_failures import until
from tests.integration.test_model_refusals import error
from tests.integration.test_quotes import until_sent
from tests.integration.world import ADMIN_TOKEN, WHATSAPP_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World


def forms(phone: Phone) -> Iterator[bytes]:
    """The forms in which the number, the user id and the ids of the messages may be stored."""
    for word in (phone.wa_id, phone.user_id, *(message.id for message in phone.messages)):
        bare = word.removeprefix("wamid.")
        yield from (bare.encode(), bare.encode("utf-16-le"), bare.encode().hex().encode())
    for skipped in range(3):  # base64 of a text in which it begins at any offset
        coded = base64.b64encode(b"\0" * skipped + phone.wa_id.encode()).rstrip(b"=")
        yield coded[4:-1] if skipped else coded[:-1]


def found(phone: Phone, text: bytes) -> list[bytes]:
    assert len(text) > 100  # there is something to look through
    return [form for form in forms(phone) if form in text]


async def test_the_searched_forms_are_complete(world: World) -> None:
    alice = world.phone("Alice")
    message = await alice.send("hello")
    whole = base64.b64decode(message.id.removeprefix("wamid."))
    for text in (message.id.encode(), base64.b64encode(b"x" + whole), whole, alice.user_id.encode()):
        assert found(alice, text + bytes(100))


async def story(world: World) -> Phone:
    """Texts, files, a voice note, a quotation, reactions, an account, a question, a refusal, a late failure."""
    alice = await connected(world, "Alice")
    answer = await world.ask(alice, "Ferns like shade")
    await until_sent(world, alice)
    await alice.send("Who says so?", quoting=answer)
    await alice.wait_for_message(timeout=20)
    await alice.react_to(answer, "👍")
    await alice.send_file("image", png(), "image/png", caption="What is it?")
    await alice.wait_for_message(timeout=20)
    await alice.send_file("document", pdf("Rent"), "application/pdf", filename="rent.pdf")
    await alice.wait_for_message(timeout=20)
    await alice.send_file("audio", VOICE, "audio/ogg", voice=True)
    await alice.wait_for_message(timeout=20)
    await alice.send_as("sticker", {"odd": True})
    await alice.wait_for_message(timeout=20)
    await world.ask(alice, "create a task: Prepare demo")
    await tapped(alice, await asked(world, alice), "Approve")
    await alice.carry(alice.messages[-2])  # the tap, once more
    error(400, "flagged", "invalid_prompt", times=9)(world.emulators.openai)
    assert (await world.ask(alice, "poison")).text == texts.answers.FAILED
    world.emulators.openai.clear()
    statuses = world.emulators.whatsapp.statuses
    statuses.withhold()
    last = await world.ask(alice, "still there?")
    await until_sent(world, alice)
    statuses._withheld.clear()
    statuses.release()
    statuses.report(alice, last, "failed", status_error(131026, "A failure on request."))
    await until(world, alice, "REPLY_STATE_FAILED")
    return alice


class Written(logging.StreamHandler[io.StringIO]):
    """The lines of a process with LOG_LEVEL=debug and LOG_FORMAT=json."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.setFormatter(JsonFormatter())

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[Written]:
    caplog.set_level(logging.INFO)
    for package in OWN:
        caplog.set_level(logging.DEBUG, package)
    handler = Written()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
async def alice(world: World, written: Written) -> Phone:
    assert written.text == ""
    return await story(world)


async def test_no_number_is_in_the_database(world: World, alice: Phone, tmp_path: Path) -> None:
    """The files that SQLite keeps next to the database are checked, too: the service is still running."""
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("kernel.db*")}  # noqa: ASYNC240 - small
    assert {"kernel.db", "kernel.db-wal"} <= set(kept)
    assert found(alice, b"".join(kept.values())) == []
    with sqlite3.connect(tmp_path / "kernel.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608 - our own
    assert all(rows[name] for name in ("message", "reply", "reply_part", "dead_letter", "alias", "approval", "item"))
    assert found(alice, repr(rows).encode()) == []


async def test_operators_see_no_number(world: World, alice: Phone) -> None:
    who = f"whatsapp:{alice.user_id}"
    commands = ("kernels",), *((name, who) for name in ("kernel", "turns", "replies", "usage", "dead"))
    told = [(await ctl(world, *words)).output for words in commands]
    assert json.loads(told[-1])["dead_letters"]
    assert found(alice, "".join(told).encode()) == []
    refused = await ctl(world, "turns", f"whatsapp:{alice.wa_id}0")
    assert alice.wa_id not in refused.output


async def test_no_number_is_in_a_metric_or_a_log(
    world: World,
    alice: Phone,
    written: Written,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(world.webhook_url.replace("/webhook", "/metrics")) as gateway,
    ):
        metrics = await world.metrics() + await gateway.text()
    assert found(alice, metrics.encode()) == []
    for sample in SAMPLES:
        assert re.search(rf"^{re.escape(sample)} [1-9]", metrics, re.MULTILINE), sample
    assert re.search(r"^kernel_store_unavailable 0", metrics, re.MULTILINE)
    assert re.search(r"^kernel_messages_waiting 0", metrics, re.MULTILINE)
    printed = "".join(capfd.readouterr())
    logged = "\n".join(
        f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.get_records("setup")
    )
    assert found(alice, (printed + logged).encode()) == []
    assert_no_words(alice, world, written.text)
    for told in ("turn outcome=answered", "turn outcome=asks", "turn outcome=gave_up", "reply outcome=sent"):
        assert [line for line in written.lines if line["message"].startswith(told)], told


SAMPLES = (
    "kernel_answer_seconds_count",
    'kernel_turn_seconds_count{outcome="answered"}',
    'kernel_turn_seconds_count{outcome="asks"}',
    'kernel_model_seconds_count{kind="answer",outcome="answered"}',
    'kernel_model_seconds_count{kind="answer",outcome="refused"}',
    'kernel_model_seconds_count{kind="transcription",outcome="answered"}',
    'kernel_rpc_seconds_count{method="HandleMessage",status="OK"}',
    'kernel_rpc_seconds_count{method="AckOutbox",status="OK"}',
    "kernel_turn_wait_seconds_count",
    'kernel_open_calls{channel="whatsapp",kind="pull"}',
    "process_resident_memory_bytes",
    'gateway_webhook_seconds_count{status="200"}',
    'gateway_part_seconds_count{outcome="sent"}',
    'gateway_reply_seconds_count{outcome="sent"}',
)
WORDS_OF_THE_LOG = {"approval", "asana", "connected", "message", "person"}
"""Words of the fixed sentences that the code logs, too."""


def assert_no_words(phone: Phone, world: World, logged: str) -> None:
    """No line has a word of the chat that the code does not have, and none has a token or a link."""
    said = {word for message in phone.messages for word in re.findall(r"\w{5,}", message.text)}
    assert {"Ferns", "shade"} <= said
    spoken = {word for word in said if re.search(rf"\b{re.escape(word)}\b", logged)}
    assert spoken <= WORDS_OF_THE_LOG
    assert "http" not in logged.replace("httpx", "")
    config = world.emulators.config
    secrets = (config.whatsapp_access_token, config.whatsapp_app_secret, config.openai_api_key, config.composio_api_key)
    assert not [secret for secret in (*secrets, WHATSAPP_TOKEN, ADMIN_TOKEN) if secret in logged]


async def test_stored_messages_are_still_found(world: World, alice: Phone) -> None:
    """A redelivered message is recognised, although its id is not on disk."""
    turns = (await ctl(world, "turns", f"whatsapp:{alice.user_id}")).output
    for message in [each for each in alice.messages if each.mine]:
        await alice.carry(message)
    assert (await ctl(world, "turns", f"whatsapp:{alice.user_id}")).output == turns
