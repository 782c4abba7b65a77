"""Recognising codes on acceptance: stored state decides, and a sender learns nothing new."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from kernel_service.connections.tokens import digest
from kernel_service.ports.commands import Command
from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Edit, Payload, Text
from kernel_service.ports.turns import Turn
from tests.contract.store.owner import NOW, own
from tests.contract.store.people import attempt, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store

CODE, WRONG = "XNDW-HVXB", "XNDW-HVXC"
_numbers = count()


async def say(store: Store, text: str, user: str = "test:ann") -> Accepted:
    return await store.inbox.accept(Message(user, f"m{next(_numbers)}", Payload(Text(text))), now=NOW, max_pending=1000)


async def awaiting(store: Store, user: str = "test:ann", code: str = CODE) -> ConnectAttempt:
    """The person was shown a code."""
    person_id = (await say(store, "hello", user)).person_id
    connection = await connect(store, person_id, ConnectionStatus.UNCONFIRMED)
    shown = replace(attempt(connection), code=code, code_digest=digest(code))
    assert await store.connect_attempts.advance(shown, was=ConnectAttemptState.RETURNED)
    return shown


async def wrong_codes(store: Store, person_id: str) -> list[int]:
    return [each.wrong_codes for each in await store.connect_attempts.live(person_id)]


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, statement: str, *_: object) -> None:
        seen.append(statement)

    observers = store.engine.statements.observers
    observers.append(note)
    try:
        yield seen
    finally:
        observers.remove(note)


@pytest.mark.parametrize(
    "text",
    [
        "my code is XNDW-HVXB, thanks",
        "xndw hvxb",
        "XNDWHVXB.",
        "so:\nXNDW\nHVXB",
        "ＸＮＤＷ—ＨＶＸＢ",
        "GmbH XNDW-HVXB",
        "コードはXNDW-HVXBです",
        "รหัสคือXNDW-HVXBครับ",
        "XNDW, HVXB",
        "https://wa.me/1555?text=Connect%20XNDW-HVXB",
    ],
)
async def test_an_own_code_is_a_command_and_is_stored_with_its_message(store: Store, text: str) -> None:
    own_attempt = await awaiting(store)
    assert (await say(store, text)).command is Command.CODE
    owner = await own(store, own_attempt.person_id)
    await owner.end(await owner.open())
    turn = await owner.ask()
    assert isinstance(turn, Turn)
    assert turn.messages[0].payload == Payload(Text(text), code=CODE)


async def test_an_own_code_is_recognised_when_it_is_used_or_too_late(store: Store) -> None:
    ended = await awaiting(store)
    await store.connect_attempts.advance(
        replace(ended, state=ConnectAttemptState.LAPSED), was=ConnectAttemptState.RETURNED
    )
    assert (await say(store, "my code is XNDW-HVXB")).command is Command.CODE


async def test_an_own_code_is_recognised_in_an_edited_text(store: Store) -> None:
    await awaiting(store)
    changed = Message("test:ann", "e1", Payload(Edit("m1", f"it is {CODE}")))
    assert (await store.inbox.accept(changed, now=NOW, max_pending=9)).command is Command.CODE


async def test_another_persons_live_code_is_a_command(store: Store) -> None:
    await awaiting(store)
    assert (await say(store, "look at this: xndw hvxb", "test:bob")).command is Command.CODE


async def test_another_persons_dead_code_is_an_ordinary_word(store: Store) -> None:
    ended = await awaiting(store)
    await store.connect_attempts.advance(
        replace(ended, state=ConnectAttemptState.LAPSED), was=ConnectAttemptState.RETURNED
    )
    assert (await say(store, "look at this: xndw hvxb", "test:bob")).command is Command.NONE


@pytest.mark.parametrize(
    "text", ["I say XNDW-HVXB", "hmmm hmmm", "brrrrrrr", "HTML, RSVP HTML and so on", "pfft pssst", "pfft, hmmm / brrr"]
)
async def test_an_ordinary_word_is_an_ordinary_message(store: Store, text: str) -> None:
    assert (await say(store, text)).command is Command.NONE


async def test_a_cancel_phrase_stops_only_work_in_progress(store: Store) -> None:
    first = await say(store, "a long task")
    stop = await say(store, "cancel it")
    assert (stop.command, stop.withdrawn) == (Command.STOP, (first.seq,))
    owner = await own(store, first.person_id)
    await owner.end(await owner.open())
    assert (await say(store, "Never mind")).command is Command.NONE
    assert (await say(store, "cancel that", "test:bob")).command is Command.NONE, "of another person's"


async def test_a_cancel_phrase_stops_a_running_turn(store: Store) -> None:
    first = await say(store, "a long task")
    owner = await own(store, first.person_id)
    await owner.open()
    assert (await say(store, "nevermind")).command is Command.STOP


@pytest.mark.parametrize("text", ["XNDW-HVXB", "Connect XNDW-HVXB", "connect xndw-hvxb!"])
async def test_a_text_in_the_exact_form_of_a_code_is_one_although_unknown(store: Store, text: str) -> None:
    assert (await say(store, text)).command is Command.CODE


async def test_a_wrong_code_alone_is_a_command_while_one_is_awaited(store: Store) -> None:
    mine = await awaiting(store)
    assert (await say(store, WRONG.lower())).command is Command.CODE
    assert await wrong_codes(store, mine.person_id) == [0], "its turn counts it"


async def test_wrong_codes_count_in_sentences_too(store: Store) -> None:
    mine = await awaiting(store)
    for number, text in enumerate((f"is it {WRONG}?", f"{WRONG} or BCDF-GHJK perhaps", "my friend's is WXNDHVXB")):
        assert (await say(store, text)).command is Command.NONE
        assert await wrong_codes(store, mine.person_id) == [[1], [3], [4]][number]
    assert (await say(store, f"{WRONG} BCDF-GHJK {CODE}")).command is Command.CODE
    assert (await wrong_codes(store, mine.person_id))[0] > 5, "those beside the right one as well"


async def test_of_two_own_codes_none_is_wrong(store: Store) -> None:
    mine = await awaiting(store)
    await awaiting(store, code=WRONG)
    assert (await say(store, f"{CODE} and {WRONG}")).command is Command.CODE
    assert await wrong_codes(store, mine.person_id) == [0, 0]


async def test_other_peoples_wrong_codes_are_not_counted(store: Store) -> None:
    mine = await awaiting(store)
    await say(store, f"is it {WRONG}?", "test:bob")
    assert await wrong_codes(store, mine.person_id) == [0]


@pytest.mark.parametrize(
    ("text", "looked"),
    [("what is to be done", False), ("please stop", False), ("new chat", False), ("it is GmbH XNDW, thanks", True)],
)
async def test_an_ordinary_message_needs_no_lookup(store: Store, text: str, *, looked: bool) -> None:
    await awaiting(store)
    with statements(store) as seen:
        await say(store, text)
    assert any("connect_attempt" in statement for statement in seen) is looked
