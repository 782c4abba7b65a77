"""The cost of a step does not depend on the number of people, or on the length of their history."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from kernel_service.connections.tokens import digest
from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind
from kernel_service.ports.connect_attempts import ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.media import FileProblem
from kernel_service.ports.messages import Alias, Message, Reply, ReplyMode, Usage
from kernel_service.ports.outbox import Outcome
from kernel_service.ports.payloads import Choice, Payload, Text
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.spending import Budgets, Estimate
from kernel_service.ports.turns import CallRecord, ToolUse, TurnStatus
from kernel_service.storage.engine import sqlite
from kernel_service.storage.engine.postgres_connections import connect_once
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.people import forgetting
from kernel_service.storage.schema import schema
from tests.contract.store import crowd
from tests.contract.store.conftest import command, keys
from tests.contract.store.meter import dearest, metered
from tests.contract.store.outbox import CHANNEL, ack, lapse, pull, receipt
from tests.contract.store.owner import ASKS, FOUND, HELLO, Owner, own, say
from tests.contract.store.people import attempt, connect, strong, weak, write
from tests.contract.store.test_linking import link
from tests.contract.store.test_made_files import make
from tests.contract.store.test_media import WANTED, bring, send
from tests.contract.store.test_media import lease as lease_media

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from kernel_service.storage.store import Store
    from tests.contract.store.meter import Cost

NOW = 1_800_000_000.0
CROWD = "crowd"
SPENT = Usage(input_tokens=1, output_tokens=1, model_calls=1)
ANN = "test:ann"


MOST: Final = {"sqlite": 10_000, "postgresql": 150}
"""The limit of a statement's reads, see `Cost`. A scan of a crowd's table, or of a long history, reads many times as
much.
"""
MORE: Final = {
    "FROM tool_usage WHERE tool_usage.day BETWEEN": "operators ask for it, once",
    "AS has_ended FROM": "retention looks at 500 rows at a time",
    "AS last_day": "and at 200 people, each in a few indexes",
    "sum(length(item.data))": "one person's history, while it has a quota",
    "FROM message WHERE message.person_id = ? AND message.message_id IN": "30 days of a person who quotes",
    "FROM item WHERE item.person_id = ? AND item.seq < ? AND item.turn_id": "people become one with all their history",
    "INSERT INTO": "where a page is full the index grows",
}
"""Statements that may read more, and the reason."""
INDEXES: Final = {
    "FROM alias WHERE alias.channel = ? AND alias.digest IN": "ix_alias_channel_digest",
    "FROM alias WHERE alias.channel = ? AND alias.digest = ?": "ix_alias_channel_digest",
    "FROM alias JOIN kernel ON kernel.person_id = alias.person_id WHERE": "ix_alias_channel_digest",
    "JOIN kernel ON kernel.person_id = alias.person_id WHERE": "ix_message_open",
    "kernel ON kernel.person_id = alias.person_id WHERE": "ix_reply_unsettled",
    "ON kernel.person_id = alias.person_id LEFT OUTER JOIN message": "ix_message_open",
    "FROM turn WHERE turn.person_id = ? AND turn.status IN": "ix_turn_open",
    "UPDATE reply SET state=?, not_before=? WHERE reply.person_id": "ix_reply_unsettled",
    "FROM reply WHERE reply.channel = ? AND reply.state = 'pending'": "ix_reply_pending",
    "reply.state IN ('leased', 'in_doubt')": "ix_reply_on_its_way",
    "WHERE reply_part.channel_message_id": "ix_reply_part_channel_message_id",
    "FROM connect_attempt WHERE connect_attempt.state IN": "ix_connect_attempt_live",
    "FROM connection WHERE connection.remove_due": "ix_connection_remove_due",
    "DELETE FROM connection": "ix_connection_ended",
    "DELETE FROM parked_request": "ix_parked_request_created_at",
    "DELETE FROM approval": "ix_approval_created_at",
    "DELETE FROM connect_attempt": "ix_connect_attempt_created_at",
    "UPDATE token_reservation SET until": "ix_token_reservation_person_id",
    "AS requests, coalesce(sum(token_reservation.headroom)": "ix_token_reservation_day",
    "FROM token_reservation WHERE token_reservation.until": "ix_token_reservation_until",
}
"""The index that hot statements, and statements over many rows, must use."""
LARGE: Final = {"person", "alias", "kernel", "message", "turn", "item", "reply", "reply_part", "usage"}
"""The tables that grow with people and messages."""
NEWEST: Final = ("ORDER BY message.seq DESC LIMIT", "ORDER BY reply.seq DESC LIMIT")
"""The scans of these end at the first row."""


@pytest.fixture(scope="module")
def crowded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crowd") / "kernel.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    database = sqlite.connect(path)
    with database.begin() as connection:
        crowd.fill(connection, now=NOW)
    database.dispose()
    return path


@pytest.fixture(scope="module")
def crowded_postgresql(postgres: Callable[[str], str]) -> str:
    """The name of a template. Nothing gathers statistics there automatically."""
    asyncio.run(command(postgres("postgres"), f"CREATE DATABASE {CROWD}"))
    asyncio.run(_fill_postgresql(postgres(CROWD)))
    return CROWD


async def _migrate(url: str) -> None:
    await (await open_store(url, keys("test"))).close()


async def _fill_postgresql(url: str) -> None:
    await _migrate(url)
    database = connect_once(Server(parse(url)))
    async with database.begin() as connection:
        for table in schema.metadata.tables:
            await connection.exec_driver_sql(f'ALTER TABLE "{table}" SET (autovacuum_enabled = off)')
        await connection.run_sync(crowd.fill, now=NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def crowded_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A copy of the crowd's database."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("crowded_sqlite"), tmp_path / "kernel.db")
        yield f"sqlite:///{tmp_path / 'kernel.db'}"
        return
    template, postgres = request.getfixturevalue("crowded_postgresql"), request.getfixturevalue("postgres")
    name = f"{template}_copy"
    asyncio.run(command(postgres("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield postgres(name)
    asyncio.run(command(postgres("postgres"), f"DROP DATABASE {name} WITH (FORCE)"))


async def _analyze(url: str) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("ANALYZE")
    else:
        await command(url, "ANALYZE")


@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_statement_scans_unneeded_rows(crowded_url: str, *, analyzed: bool) -> None:
    """With gathered statistics, and just restored without any."""
    if analyzed:
        await _analyze(crowded_url)
    store = await open_store(crowded_url, keys("test"))
    try:
        person_id = await long_past(store)
        with metered(store) as costs:
            await everything(store, person_id)
    finally:
        await store.close()
    kind = crowded_url.partition(":")[0]
    dear = [cost for cost in dearest(costs) if cost.looked_at > MOST[kind] and not _named(cost, MORE)]
    assert not dear, "\n\n".join(map(str, dear))
    scans = [cost for cost in dearest(costs) if _scanned(cost) and not _named(cost, NEWEST)]
    assert not scans, "\n\n".join(map(str, scans))
    for part, index in INDEXES.items():
        found = [cost for cost in costs if part in cost.statement]
        assert found, f"no statement has {part}"
        wrong = [cost for cost in found if index not in cost.plan]
        assert not wrong, "\n\n".join(map(str, wrong))


def _scanned(cost: Cost) -> set[str]:
    """The large tables of which the plan reads every row."""
    return LARGE & set(re.findall(r"^ *(?:SCAN (?=\w+$)|Seq Scan )(\w+)", cost.plan, re.MULTILINE))


def _named(cost: Cost, parts: Iterable[str]) -> bool:
    return any(part in cost.statement for part in parts)


async def everything(store: Store, person_id: str) -> None:
    """Each operation of the store at least once."""
    owner = await own(store, person_id)
    await _answered(store, owner)
    await _joined_and_split(store, owner)
    await _told(store, owner)
    await _connected(store, owner)
    await _files(store)
    await _linked(store)
    await _swept(store)
    await _looked_at(store, person_id)


async def long_past(store: Store) -> str:
    person_id = await say(store, "first", ANN, address="desk")
    owner = await own(store, person_id)
    turn = await owner.open()
    await owner.append(turn, *[HELLO] * 5000)
    await owner.end(turn)
    await store.engine.write(lambda tx: crowd.lengthen(tx.connection, person_id, now=NOW))
    return person_id


async def _answered(store: Store, owner: Owner) -> None:
    aliases = (Alias(ANN), Alias("test:+1", strong=False, scope="phone"))
    for _ in range(2):
        await say(store, "m1", ANN, address="desk", reply_mode=ReplyMode.OUTBOX, aliases=aliases)
    await say(store, "m1", "test:newcomer", address="desk", aliases=(Alias("test:newcomer"), weak("+2")))
    turn = await owner.open()
    await store.turns.check_interrupts(turn)
    assert await store.quotes.find(owner.person_id, CHANNEL, "desk", "m1")
    await store.quotes.find(owner.person_id, CHANNEL, "desk", "wamid.1")
    await owner.append(turn, HELLO, usage=SPENT)
    await owner.append(turn, ASKS, usage=SPENT, started=CallRecord("c1", "t", NOW))
    await owner.append(turn, FOUND, finished="c1", used=ToolUse("t", failed=False, seconds=1.0))
    assert await store.spending.spent_today(owner.person_id, now=NOW) >= 4
    await store.spending.spent_today(None, now=NOW)
    budgets = Budgets(all_people=10**12, per_person=10**12)
    reservation = await store.spending.reserve(owner.person_id, Estimate(1, 1, 2), budgets, now=NOW)
    await store.turns.add_usage(turn, owner.epoch, usage=SPENT, settles=(reservation,), now=NOW)
    await store.spending.reserve(owner.person_id, Estimate(1, 1, 2), budgets, now=NOW - 86_400)  # no write settles it
    approval = Approval("ap_ann", "c1", "SEND", {"to": ["bob"]}, NOW + 60)
    await store.turns.end(
        turn,
        owner.epoch,
        [HELLO],
        [Reply("done")],
        status=TurnStatus.COMPLETED,
        usage=SPENT,
        parked=[ParkedRequest("asana", "create the task")],
        prompts=[ApprovalPrompt((approval,), "")],
        now=NOW,
    )
    await store.inbox.answer_of(owner.person_id, turn.messages[0].seq)
    button = ApprovalButton("ap_ann", ApprovalButtonKind.YES)
    await store.inbox.accept(
        Message(ANN, "button", Payload(Choice(button.choice_id)), address="desk"), now=NOW, max_pending=9
    )
    turn = await owner.open()
    await store.approvals.decide(turn, owner.epoch, button, at=NOW)
    await owner.end(turn)


async def _joined_and_split(store: Store, owner: Owner) -> None:
    await say(store, "j1", ANN, address="desk")
    turn = await owner.open()
    await owner.append(turn, HELLO)
    await say(store, "j2", ANN, address="desk")
    await store.turns.requeue(turn, owner.epoch, until=None)
    turn = await owner.open()
    assert len(turn.messages) == 2
    await store.turns.hold(turn, owner.epoch, until=NOW, problem="model", notice=Reply("wait"), now=NOW)
    turn = await owner.open()
    await store.turns.fail(turn, owner.epoch, until=NOW, problem="model", now=NOW)
    turn = await owner.open()
    await store.turns.split(turn, owner.epoch, problem="model", now=NOW)
    turn = await owner.open()
    await store.turns.give_up(turn, owner.epoch, [HELLO], [Reply("sorry")], problem="model", now=NOW)
    letters, _ = await store.admin.dead_letters(owner.person_id, limit=10, before="")
    await store.admin.requeue(letters[0].id, now=NOW)
    await store.inbox.accept(Message(ANN, "stop", Payload(Text("stop")), address="desk"), now=NOW, max_pending=9)
    await owner.end(await owner.open(), status=TurnStatus.STOPPED)


async def _told(store: Store, owner: Owner) -> None:
    for name in ("test:carl", "test:dora"):
        other = await say(store, "first", name, address="desk")
        await store.outbox.notify(other, Reply("news"), channel=CHANNEL, address="desk", now=NOW)
    [lease, another, third] = await pull(store, "desk")
    await ack(store, lease, channel_message_id="wamid.ann")
    await receipt(store, lease.reply.id, "sent")
    await receipt(store, "", "delivered", channel_message_id="wamid.ann")
    await receipt(store, "", "delivered", channel_message_id="wamid.7")
    await ack(store, another, Outcome.UNKNOWN)
    await store.outbox.release([(third.reply.id, third.token)])
    await store.outbox.notify(owner.person_id, Reply("news"), channel=CHANNEL, address="desk", now=NOW)
    await store.outbox.release_leases(CHANNEL, "gateway-1", [])
    await pull(store)
    await lapse(store, now=NOW + 100, longest_grace=0, grace=0)


async def _connected(store: Store, owner: Owner) -> None:
    await store.sessions.keep(owner.person_id, "s_1", "c")
    await store.sessions.of_person(owner.person_id)
    made = await connect(store, owner.person_id, ConnectionStatus.PENDING)
    tried = attempt(made)
    for key, value in (
        (ConnectAttemptKey.LINK, tried.link_digest),
        (ConnectAttemptKey.RETURN, tried.return_digest),
        (ConnectAttemptKey.CODE, tried.code_digest),
    ):
        assert value is not None
        await store.connect_attempts.find(key, value)
    await store.connect_attempts.in_browser(digest("browser"))
    await store.unmatched_sessions.is_known(digest("session"))
    await store.unmatched_sessions.note(digest("session"), now=NOW)
    await store.unmatched_sessions.note_many([digest("session")], now=NOW)
    await store.unmatched_sessions.noted_since(NOW)
    await store.connect_attempts.live(owner.person_id)
    await store.connect_attempts.count_wrong_code(owner.person_id)
    await store.connect_attempts.lapsing(now=NOW + 1e6, limit=10)
    await store.connect_attempts.lapsing_one(made.id, now=NOW + 1e6)
    await store.connect_attempts.advance(tried, was=ConnectAttemptState.STARTED)
    await store.connect_attempts.confirm(tried, was=ConnectAttemptState.STARTED, seq=1, now=NOW)
    await store.connect_attempts.resumed_by(owner.person_id, 1)
    await store.connections.of_person(owner.person_id)
    await store.connections.of_account(made.account_id)
    await store.connections.bar(made, ConnectionStatus.EXPIRED, remove=True)
    await store.connections.to_remove(limit=10)
    await store.connections.mark_removed(made.id, made.account_id)
    await store.chats.keep_link(owner.person_id, CHANNEL, "desk", "https://chat.example.org")
    await store.chats.link(CHANNEL, "desk")


async def _files(store: Store) -> None:
    await send(store, WANTED, "f1")
    [wanted] = await lease_media(store)
    await bring(store, wanted, b"data")
    await store.files.find([wanted.media_id])
    await store.files.chunk(wanted.media_id, 0)
    await store.files.keep_transcript(wanted.media_id, "hello", SPENT, now=NOW)
    await store.files.note_problem(wanted.media_id, FileProblem.UNREADABLE)
    owner = await own(store, await say(store, "f2", ANN))
    turn = await owner.open(NOW + 100)
    file = await make(store, turn)
    await store.turns.end(
        turn, owner.epoch, [], [Reply("Here.", media=(file,))], status=TurnStatus.COMPLETED, usage=SPENT, now=NOW
    )
    await store.made_files.chunks(CHANNEL, file.id)


async def _linked(store: Store) -> None:
    await link(store, strong("ann"), strong("anna"))
    await write(store, strong("bob"), weak("+3"), now=NOW + 1)
    await link(store, strong("anna"), strong("bob"))
    await store.merging.link(strong("nobody"), strong("somebody"), now=NOW)
    # both are being answered, and only Gus and Hal after a side effect
    for one, other in (("eve", "fay"), ("gus", "hal")):
        people = [(await write(store, strong(name), now=NOW + 2)).person_id for name in (one, other)]
        for person_id in people:
            owner = await own(store, person_id)
            turn = await owner.open(NOW + 2)
            await owner.append(turn, HELLO, started=CallRecord(turn.id, "t", NOW) if one == "gus" else None)
        await store.merging.merge(*people, now=NOW + 3)


async def _swept(store: Store) -> None:
    await store.newest_time()
    await store.inbox.due_people(now=NOW, limit=100)
    while await store.media.sweep(now=NOW + 1000):
        pass
    await store.retention.forget_old(now=NOW)
    keeping = RetentionPolicy(history_days=1, history_bytes=10**12, inactive_days=1)
    await store.engine.write(forgetting._step(keeping, "", NOW))


async def _looked_at(store: Store, person_id: str) -> None:
    await store.people.person_of(ANN, now=NOW)
    await store.people.last_person_of(ANN)
    await store.people.surviving(person_id)
    await store.inbox.last_route(person_id)
    await store.people.ids_in(person_id, "test")
    await store.kernels.lease(person_id)
    await store.merging.kept_apart_from(person_id)
    await store.merging.kept_apart_pairs()
    await store.admin.turns(person_id, limit=50, before="")
    await store.admin.replies(person_id, limit=50, before="")
    await store.admin.dead_letters(None, limit=50, before="")
    day = int(NOW // 86_400)
    await store.spending.by_day(person_id, first=day - 30, last=day)
    await store.spending.by_day(None, first=day - 30, last=day)
