"""Requested approvals: stored at the end of the turn, sealed, and decided once, by one turn, before they expire."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import delete, func, select, update

from kernel_service.errors import LeaseLost
from kernel_service.ports.approvals import Approval, ApprovalDecision, ApprovalPrompt, DecisionOutcome
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.interruptions import JoiningMessages
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
YES, NO = ApprovalButton("ap_1", ApprovalButtonKind.YES), ApprovalButton("ap_1", ApprovalButtonKind.NO)


def approval(name: str = "ap_1", **arguments: Any) -> Approval:
    return Approval(name, "c1", "SEND", arguments or {"body": SECRET, "to": ["bob"]}, NOW + 60)


async def end(owner: Owner, turn: Turn, *asked: Approval, now: float = NOW) -> None:
    """Each is requested by a separate question."""
    await put(owner, turn, *(ApprovalPrompt((one,), "") for one in asked), now=now)


async def put(owner: Owner, turn: Turn, *prompts: ApprovalPrompt, now: float = NOW) -> None:
    await owner.store.turns.end(
        turn, owner.epoch, [HELLO], [], status=TurnStatus.COMPLETED, usage=Usage(), prompts=prompts, now=now
    )


async def ask(store: Store, *asked: Approval, user: str = "test:ann", name: str = "m1") -> Owner:
    owner = await own(store, await say(store, name, user))
    await end(owner, await owner.open(), *asked)
    return owner


async def tapping(store: Store, owner: Owner, button: ApprovalButton, name: str = "t1", user: str = "test:ann") -> Turn:
    payload = Payload(Choice(button.choice_id))
    accepted = await store.inbox.accept(Message(user, name, payload), now=NOW, max_pending=9)
    assert accepted.command is Command.APPROVAL
    return await owner.open()


async def tapped(
    store: Store, owner: Owner, button: ApprovalButton, name: str = "t1", at: float = NOW + 1
) -> ApprovalDecision:
    """In a complete turn."""
    turn = await tapping(store, owner, button, name)
    decision = await store.approvals.decide(turn, owner.epoch, button, at=at)
    await owner.end(turn)
    return decision


async def test_the_approving_button_returns_exactly_the_requested_call(store: Store) -> None:
    owner = await ask(store, approval())
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.APPROVED, (approval(),))


async def test_the_account_is_stored_with_the_prompt(store: Store) -> None:
    asked = replace(approval(), account="cn_1")
    owner = await ask(store, asked)
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.APPROVED, (asked,))


async def test_a_prompt_of_an_earlier_release_has_no_account(store: Store) -> None:
    owner = await ask(store, replace(approval(), account="cn_1"))

    def as_before(tx: Tx) -> None:
        plain = orjson.dumps(approval().arguments)
        sealed = tx.cipher_of(owner.person_id).seal(plain, place(schema.approval.c.arguments, "ap_1"))
        tx.execute(update(schema.approval).values(arguments=sealed))

    await store.engine.write(as_before)
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.APPROVED, (approval(),))


async def test_a_button_counts_once_and_its_turn_repeats_the_decision(store: Store) -> None:
    owner = await ask(store, approval())
    turn = await tapping(store, owner, NO)
    for at in (NOW + 1, NOW + 1e6):
        assert (await store.approvals.decide(turn, owner.epoch, NO, at=at)).outcome is DecisionOutcome.REFUSED
    await owner.end(turn)
    for name, button in (("t2", YES), ("t3", NO)):
        assert await tapped(store, owner, button, name) == ApprovalDecision(DecisionOutcome.USED)


async def test_of_two_concurrent_turns_one_decides(store: Store) -> None:
    owner = await ask(store, approval())
    one = await tapping(store, owner, YES)
    turns = [Turn(f"t_{number}", one.person_id, one.messages, begun=False) for number in range(10)]
    decided = await asyncio.gather(*(store.approvals.decide(turn, owner.epoch, YES, at=NOW) for turn in turns))
    assert sorted(decision.outcome for decision in decided) == [DecisionOutcome.APPROVED, *[DecisionOutcome.USED] * 9]


async def test_a_tap_counts_by_its_arrival_time(store: Store) -> None:
    owner = await ask(store, approval(), approval("ap_2", x=1))
    assert (await tapped(store, owner, YES, at=NOW + 59)).outcome is DecisionOutcome.APPROVED
    late = await tapped(store, owner, ApprovalButton("ap_2", ApprovalButtonKind.YES), "t2", at=NOW + 60)
    assert late == ApprovalDecision(DecisionOutcome.LAPSED)


async def test_another_person_cannot_approve(store: Store) -> None:
    await ask(store, approval())
    bob = await own(store, await say(store, "b1", "test:bob"))
    await bob.end(await bob.open())
    turn = await tapping(store, bob, YES, user="test:bob")
    for button in (YES, ApprovalButton("ap_9", ApprovalButtonKind.YES)):
        assert await store.approvals.decide(turn, bob.epoch, button, at=NOW) == ApprovalDecision(
            DecisionOutcome.UNKNOWN
        )


async def test_a_former_owner_cannot_decide(store: Store) -> None:
    owner = await ask(store, approval())
    turn = await tapping(store, owner, YES)
    later = await own(store, owner.person_id, "two")
    with pytest.raises(LeaseLost):
        await store.approvals.decide(turn, owner.epoch, YES, at=NOW)
    assert (await store.approvals.decide(turn, later.epoch, YES, at=NOW)).outcome is DecisionOutcome.APPROVED


async def test_stop_withdraws_open_prompts(store: Store) -> None:
    owner = await ask(store, approval())
    await say(store, "s", payload=Payload(Text("stop")))
    await owner.end(await owner.open())
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.WITHDRAWN)


async def test_a_repeated_request_of_a_call_has_one_prompt(store: Store) -> None:
    owner = await ask(store, approval(a=1, b=2), approval("ap_2", a=2))
    await ask(store, approval("ap_3", b=2, a=1), name="m2")
    owner = await own(store, owner.person_id)
    assert (await tapped(store, owner, YES)).outcome is DecisionOutcome.WITHDRAWN
    for number, name in enumerate(("ap_2", "ap_3"), 2):
        button = ApprovalButton(name, ApprovalButtonKind.YES)
        assert (await tapped(store, owner, button, f"t{number}")).outcome is DecisionOutcome.APPROVED


async def test_a_turn_that_is_joined_instead_of_ended_stores_no_prompt(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await say(store, "m2")
    with pytest.raises(JoiningMessages):
        await end(owner, turn, approval())
    await end(owner, await owner.open())
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.UNKNOWN)


@pytest.mark.parametrize("changed", [{"tool": "DELETE"}, {"digest": b"x"}])
async def test_a_changed_call_is_not_approved(store: Store, changed: dict[str, Any]) -> None:
    owner = await ask(store, approval())

    def change(tx: Tx) -> None:
        tx.execute(update(schema.approval).values(changed))

    await store.engine.write(change)
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.UNKNOWN)


async def test_arguments_are_sealed(store: Store) -> None:
    await ask(store, approval())

    def rows(tx: Tx) -> list[bytes]:
        return list(tx.execute(select(schema.approval.c.arguments)).scalars())

    [sealed] = await store.engine.read(rows)
    assert SECRET.encode() not in sealed


async def test_a_merge_moves_a_prompt_with_its_person(store: Store) -> None:
    ann = await own(store, await say(store, "m0", now=NOW - 9))
    await ann.end(await ann.open())
    await ask(store, approval(), user="test:newer")
    await store.merging.merge(ann.person_id, (await say(store, "n2", "test:newer")), now=NOW)
    ann = await own(store, ann.person_id)
    await ann.end(await ann.open())
    turn = await tapping(store, ann, YES, user="test:newer")
    assert await store.approvals.decide(turn, ann.epoch, YES, at=NOW) == ApprovalDecision(
        DecisionOutcome.APPROVED, (approval(),)
    )


async def test_prompts_expire(store: Store) -> None:
    await ask(store, approval())

    def count(tx: Tx) -> int:
        return int(tx.execute(select(func.count()).select_from(schema.approval)).scalar_one())

    for days, left in ((retention.KEEP_DAYS - 1, 1), (retention.KEEP_DAYS + 1, 0)):
        await store.retention.forget_old(now=NOW + days * DAY)
        assert await store.engine.read(count) == left


# --- several calls --------------------------------------------------------------------------------------------------


def bundle(*names: str, may_stand: bool = False) -> ApprovalPrompt:
    return ApprovalPrompt(tuple(approval(name, to=name) for name in names), "", may_stand=may_stand)


async def ask_all(store: Store, *prompts: ApprovalPrompt, name: str = "m1") -> Owner:
    owner = await own(store, await say(store, name))
    await put(owner, await owner.open(), *prompts)
    return owner


async def test_one_button_decides_on_all_calls_of_its_prompt_in_order(store: Store) -> None:
    names = [f"ap_{number}" for number in range(12, 0, -1)]
    question = bundle(*names)
    owner = await ask_all(store, question)
    yes = ApprovalButton(question.id, ApprovalButtonKind.YES)
    assert await tapped(store, owner, yes) == ApprovalDecision(DecisionOutcome.APPROVED, question.approvals)
    assert await tapped(store, owner, yes, "t2") == ApprovalDecision(DecisionOutcome.USED)


async def test_a_call_within_a_prompt_has_no_separate_button(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    assert await tapped(store, owner, ApprovalButton("ap_2", ApprovalButtonKind.YES)) == ApprovalDecision(
        DecisionOutcome.UNKNOWN
    )
    assert (await tapped(store, owner, YES, "t2")).outcome is DecisionOutcome.APPROVED


async def test_a_call_requested_again_withdraws_its_whole_previous_prompt(store: Store) -> None:
    """The earlier button would run the call twice, or less than the question showed."""
    owner = await ask_all(store, bundle("ap_1", "ap_2"), bundle("ap_3"))
    again = ApprovalPrompt((replace(approval("ap_4"), arguments={"to": "ap_2"}),), "")
    await ask_all(store, again, name="m2")
    owner = await own(store, owner.person_id)
    outcomes = {"ap_1": DecisionOutcome.WITHDRAWN, "ap_3": DecisionOutcome.APPROVED, "ap_4": DecisionOutcome.APPROVED}
    for name, outcome in outcomes.items():
        assert (await tapped(store, owner, ApprovalButton(name, ApprovalButtonKind.YES), f"t{name}")).outcome is outcome


def _execute(tx: Tx, statement: Any) -> None:
    tx.execute(statement)


@pytest.mark.parametrize("lost", ["ap_1", "ap_2", "ap_3"])
async def test_a_prompt_with_a_missing_or_damaged_call_approves_nothing(store: Store, lost: str) -> None:
    changes: tuple[Any, ...] = (delete(schema.approval), update(schema.approval).values(digest=b"x"))
    for number, change in enumerate(changes):
        names = [f"{name}_{number}" for name in ("ap_1", "ap_2", "ap_3")]
        owner = await ask_all(store, bundle(*names), name=f"m{number}")
        gone = change.where(schema.approval.c.id == f"{lost}_{number}")
        await store.engine.write(partial(_execute, statement=gone))
        decision = await tapped(store, owner, ApprovalButton(names[0], ApprovalButtonKind.YES), f"t{number}")
        assert decision == ApprovalDecision(DecisionOutcome.UNKNOWN)


async def test_of_two_concurrent_turns_one_decides_on_all_calls(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    one = await tapping(store, owner, YES)
    turns = [Turn(f"t_{number}", one.person_id, one.messages, begun=False) for number in range(10)]
    decided = await asyncio.gather(*(store.approvals.decide(turn, owner.epoch, YES, at=NOW) for turn in turns))
    assert sorted(decision.outcome for decision in decided) == [DecisionOutcome.APPROVED, *[DecisionOutcome.USED] * 9]


async def test_stop_withdraws_a_whole_prompt(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1", "ap_2"))
    await say(store, "s", payload=Payload(Text("stop")))
    await owner.end(await owner.open())
    assert await tapped(store, owner, YES) == ApprovalDecision(DecisionOutcome.WITHDRAWN)


async def test_a_button_that_was_not_shown_does_nothing(store: Store) -> None:
    owner = await ask_all(store, bundle("ap_1"))
    assert await tapped(store, owner, ApprovalButton("ap_1", ApprovalButtonKind.ALWAYS)) == ApprovalDecision(
        DecisionOutcome.UNKNOWN
    )
    assert (await tapped(store, owner, YES, "t2")).outcome is DecisionOutcome.APPROVED
