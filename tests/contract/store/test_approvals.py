"""What people are asked: kept with the end of the turn, sealed, and decided once, by one turn, in time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import delete, func, select, update

from kernel_service.errors import LeaseLost
from kernel_service.ports.approvals import Approval, Decision, Question, Verdict
from kernel_service.ports.commands import Command, Tap, TapKind
from kernel_service.ports.interruptions import Newcomers
from kernel_service.ports.messages import Message, Usage
from kernel_service.ports.payloads import Choice, Payload, Text
from kernel_service.ports.turns import Turn, TurnStatus
from kernel_service.storage.admin import retention
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import place
from tests.contract.store.owner import HELLO, NOW, Owner, own, say

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

DAY = 86_400.0
SECRET = "the secret plan"
YES, NO = Tap("ap_1", TapKind.YES), Tap("ap_1", TapKind.NO)


def approval(name: str = "ap_1", **arguments: Any) -> Approval:
    return Approval(name, "c1", "SEND", arguments or {"body": SECRET, "to": ["bob"]}, NOW + 60)


async def end(owner: Owner, turn: Turn, *asked: Approval, now: float = NOW) -> None:
    """Each is asked for by a question of its own."""
    await put(owner, turn, *(Question((one,), "") for one in asked), now=now)


async def put(owner: Owner, turn: Turn, *questions: Question, now: float = NOW) -> None:
    await owner.store.turns.end(
        turn, owner.epoch, [HELLO], [], status=TurnStatus.COMPLETED, usage=Usage(), questions=questions, now=now
    )


async def ask(store: Store, *asked: Approval, user: str = "test:ann", name: str = "m1") -> Owner:
    owner = await own(store, await say(store, name, user))
    await end(owner, await owner.open(), *asked)
    return owner


async def tapping(store: Store, owner: Owner, tap: Tap, name: str = "t1", user: str = "test:ann") -> Turn:
    payload = Payload(Choice(tap.choice_id))
    accepted = await store.inbox.accept(Message(user, name, payload), now=NOW, max_pending=9)
    assert accepted.command is Command.APPROVAL
    return await owner.open()


async def tapped(store: Store, owner: Owner, tap: Tap, name: str = "t1", at: float = NOW + 1) -> Decision:
    """As a whole turn."""
    turn = await tapping(store, owner, tap, name)
    decision = await store.approvals.decide(turn, owner.epoch, tap, at=at)
    await owner.end(turn)
    return decision


async def test_the_button_that_approves_gives_back_exactly_what_was_asked(store: Store) -> None:
    owner = await ask(store, approval())
    assert await tapped(store, owner, YES) == Decision(Verdict.APPROVED, (approval(),))


async def test_the_account_that_it_is_for_is_kept_with_it(store: Store) -> None:
    asked = replace(approval(), account="cn_1")
    owner = await ask(store, asked)
    assert await tapped(store, owner, YES) == Decision(Verdict.APPROVED, (asked,))


async def test_a_question_of_before_accounts_were_kept_is_for_none(store: Store) -> None:
    owner = await ask(store, replace(approval(), account="cn_1"))

    def as_before(tx: Tx) -> None:
        plain = orjson.dumps(approval().arguments)
        sealed = tx.cipher_of(owner.person_id).seal(plain, place(schema.approval.c.arguments, "ap_1"))
        tx.execute(update(schema.approval).values(arguments=sealed))

    await store.engine.write(as_before)
    assert await tapped(store, owner, YES) == Decision(Verdict.APPROVED, (approval(),))


async def test_one_button_counts_once_and_the_same_turn_decides_the_same_again(store: Store) -> None:
    owner = await ask(store, approval())
    turn = await tapping(store, owner, NO)
    for at in (NOW + 1, NOW + 1e6):
        assert (await store.approvals.decide(turn, owner.epoch, NO, at=at)).verdict is Verdict.REFUSED
    await owner.end(turn)
    for name, tap in (("t2", YES), ("t3", NO)):
        assert await tapped(store, owner, tap, name) == Decision(Verdict.USED)


async def test_of_two_turns_at_once_one_decides(store: Store) -> None:
    owner = await ask(store, approval())
    one = await tapping(store, owner, YES)
    turns = [Turn(f"t_{number}", one.person_id, one.messages, begun=False) for number in range(10)]
    decided = await asyncio.gather(*(store.approvals.decide(turn, owner.epoch, YES, at=NOW) for turn in turns))
    assert sorted(decision.verdict for decision in decided) == [Verdict.APPROVED, *[Verdict.USED] * 9]


async def test_a_tap_counts_by_when_it_came(store: Store) -> None:
    owner = await ask(store, approval(), approval("ap_2", x=1))
    assert (await tapped(store, owner, YES, at=NOW + 59)).verdict is Verdict.APPROVED
    late = await tapped(store, owner, Tap("ap_2", TapKind.YES), "t2", at=NOW + 60)
    assert late == Decision(Verdict.LAPSED)


async def test_nobody_else_approves(store: Store) -> None:
    await ask(store, approval())
    bob = await own(store, await say(store, "b1", "test:bob"))
    await bob.end(await bob.open())
    turn = await tapping(store, bob, YES, user="test:bob")
    for tap in (YES, Tap("ap_9", TapKind.YES)):
        assert await store.approvals.decide(turn, bob.epoch, tap, at=NOW) == Decision(Verdict.UNKNOWN)


async def test_who_has_lost_the_person_decides_nothing(store: Store) -> None:
    owner = await ask(store, approval())
    turn = await tapping(store, owner, YES)
    later = await own(store, owner.person_id, "two")
    with pytest.raises(LeaseLost):
        await store.approvals.decide(turn, owner.epoch, YES, at=NOW)
    assert (await store.approvals.decide(turn, later.epoch, YES, at=NOW)).verdict is Verdict.APPROVED


async def test_stop_takes_back_what_is_open(store: Store) -> None:
    owner = await ask(store, approval())
    await say(store, "s", payload=Payload(Text("stop")))
    await owner.end(await owner.open())
    assert await tapped(store, owner, YES) == Decision(Verdict.WITHDRAWN)


async def test_the_same_call_asked_anew_has_one_question(store: Store) -> None:
    owner = await ask(store, approval(a=1, b=2), approval("ap_2", a=2))
    await ask(store, approval("ap_3", b=2, a=1), name="m2")
    owner = await own(store, owner.person_id)
    assert (await tapped(store, owner, YES)).verdict is Verdict.WITHDRAWN
    for number, name in enumerate(("ap_2", "ap_3"), 2):
        tap = Tap(name, TapKind.YES)
        assert (await tapped(store, owner, tap, f"t{number}")).verdict is Verdict.APPROVED


async def test_a_turn_that_is_joined_instead_of_ended_asks_nothing(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await say(store, "m2")
    with pytest.raises(Newcomers):
        await end(owner, turn, approval())
    await end(owner, await owner.open())
    assert await tapped(store, owner, YES) == Decision(Verdict.UNKNOWN)


@pytest.mark.parametrize("changed", [{"tool": "DELETE"}, {"digest": b"x"}])
async def test_what_is_not_what_was_asked_is_not_approved(store: Store, changed: dict[str, Any]) -> None:
    owner = await ask(store, approval())

    def change(tx: Tx) -> None:
        tx.execute(update(schema.approval).values(changed))

    await store.engine.write(change)
    assert await tapped(store, owner, YES) == Decision(Verdict.UNKNOWN)


async def test_arguments_are_sealed(store: Store) -> None:
    await ask(store, approval())

    def rows(tx: Tx) -> list[bytes]:
        return list(tx.execute(select(schema.approval.c.arguments)).scalars())

    [sealed] = await store.engine.read(rows)
    assert SECRET.encode() not in sealed


async def test_a_question_goes_with_its_person_when_people_are_merged(store: Store) -> None:
    ann = await own(store, await say(store, "m0", now=NOW - 9))
    await ann.end(await ann.open())
    await ask(store, approval(), user="test:newer")
    await store.merging.merge(ann.person_id, (await say(store, "n2", "test:newer")), now=NOW)
    ann = await own(store, ann.person_id)
    await ann.end(await ann.open())
    turn = await tapping(store, ann, YES, user="test:newer")
    assert await store.approvals.decide(turn, ann.epoch, YES, at=NOW) == Decision(Verdict.APPROVED, (approval(),))


async def test_questions_have_their_time(store: Store) -> None:
    await ask(store, approval())

    def count(tx: Tx) -> int:
        return int(tx.execute(select(func.count()).select_from(schema.approval)).scalar_one())

    for days, left in ((retention.KEEP_DAYS - 1, 1), (retention.KEEP_DAYS + 1, 0)):
        await store.retention.forget_old(now=NOW + days * DAY)
        assert await store.engine.read(count) == left


# --- several calls --------------------------------------------------------------------------------------------------


def bundle(*names: str, may_stand: bool = False) -> Question:
    return Question(tuple(approval(name, to=name) for name in names), "", may_stand=may_stand)


async def ask_all(store: Store, *questions: Question, name: str = "m1") -> Owner:
    owner = await own(store, await say(store, name))
    await put(owner, await owner.open(), *questions)
    return owner


async def test_one_button_decides_on_all_calls_of_its_question_in_order(store: Store) -> None:
    names = [f"ap_{number}" for number in range(12, 0, -1)]
    question = bundle(*names)
    owner = await ask_all(store, question)
    yes = Tap(question.id, TapKind.YES)
    assert await tapped(store, owner, yes) == Decision(Verdict.APPROVED, question.approvals)
    assert await tapped(store, owner, yes, "t2") == Decision(Verdict.USED)


async def test_a_call_of_a_question_has_no_button_of_its_own(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    assert await tapped(store, owner, Tap("ap_2", TapKind.YES)) == Decision(Verdict.UNKNOWN)
    assert (await tapped(store, owner, YES, "t2")).verdict is Verdict.APPROVED


async def test_a_call_asked_anew_takes_its_whole_question_back(store: Store) -> None:
    """The button of the earlier one would do it twice, or less than it showed."""
    owner = await ask_all(store, bundle("ap_1", "ap_2"), bundle("ap_3"))
    again = Question((replace(approval("ap_4"), arguments={"to": "ap_2"}),), "")
    await ask_all(store, again, name="m2")
    owner = await own(store, owner.person_id)
    verdicts = {"ap_1": Verdict.WITHDRAWN, "ap_3": Verdict.APPROVED, "ap_4": Verdict.APPROVED}
    for name, verdict in verdicts.items():
        assert (await tapped(store, owner, Tap(name, TapKind.YES), f"t{name}")).verdict is verdict


def _execute(tx: Tx, statement: Any) -> None:
    tx.execute(statement)


@pytest.mark.parametrize("lost", ["ap_1", "ap_2", "ap_3"])
async def test_a_question_of_which_a_call_is_missing_or_damaged_approves_nothing(store: Store, lost: str) -> None:
    changes: tuple[Any, ...] = (delete(schema.approval), update(schema.approval).values(digest=b"x"))
    for number, change in enumerate(changes):
        names = [f"{name}_{number}" for name in ("ap_1", "ap_2", "ap_3")]
        owner = await ask_all(store, bundle(*names), name=f"m{number}")
        gone = change.where(schema.approval.c.id == f"{lost}_{number}")
        await store.engine.write(partial(_execute, statement=gone))
        decision = await tapped(store, owner, Tap(names[0], TapKind.YES), f"t{number}")
        assert decision == Decision(Verdict.UNKNOWN)


async def test_of_two_turns_at_once_one_decides_on_all(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    one = await tapping(store, owner, YES)
    turns = [Turn(f"t_{number}", one.person_id, one.messages, begun=False) for number in range(10)]
    decided = await asyncio.gather(*(store.approvals.decide(turn, owner.epoch, YES, at=NOW) for turn in turns))
    assert sorted(decision.verdict for decision in decided) == [Verdict.APPROVED, *[Verdict.USED] * 9]


async def test_stop_takes_a_whole_question_back(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    await say(store, "s", payload=Payload(Text("stop")))
    await owner.end(await owner.open())
    assert await tapped(store, owner, YES) == Decision(Verdict.WITHDRAWN)


async def test_a_button_that_was_not_shown_does_nothing(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1"))
    assert await tapped(store, owner, Tap("ap_1", TapKind.ALWAYS)) == Decision(Verdict.UNKNOWN)
    assert (await tapped(store, owner, YES, "t2")).verdict is Verdict.APPROVED
