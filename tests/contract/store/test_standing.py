"""Standing permissions: given by a button, for one account, and ended with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, update

from kernel_service.errors import LeaseLost
from kernel_service.ports.approvals import Approval, ApprovalPrompt, DecisionOutcome, StandingPermission
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.messages import Message, Usage
from kernel_service.ports.payloads import Choice, Payload, Text
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import place
from tests.contract.store.owner import HELLO, NOW, Owner, own, say

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

CARDS = StandingPermission("SMALLTOOL_CREATE_CARD", "cn_1")


async def connected(store: Store, person_id: str, name: str = "cn_1") -> None:
    row = {"id": name, "person_id": person_id, "toolkit": "smalltool", "status": "active", "created_at": NOW}

    def add(tx: Tx) -> None:
        tx.execute(insert(schema.connection), row)

    await store.engine.write(add)


async def status(store: Store, name: str, to: str) -> None:
    def change(tx: Tx) -> None:
        tx.execute(update(schema.connection).where(schema.connection.c.id == name).values(status=to))

    await store.engine.write(change)


async def asked(
    store: Store, owner: Owner, name: str = "ap_1", *, may_stand: bool = True, account: str = "cn_1"
) -> None:
    approval = Approval(name, "c1", CARDS.tool, {"heading": "x"}, NOW + 60, account=account)
    question = ApprovalPrompt((approval,), "", may_stand=may_stand)
    await store.turns.end(
        await owner.open(), owner.epoch, [HELLO], [], status=TurnStatus.COMPLETED, usage=Usage(), prompts=[question],
        now=NOW,
    )  # fmt: skip


async def tapped(
    store: Store, owner: Owner, kind: ApprovalButtonKind, name: str = "ap_1", user: str = "test:ann"
) -> DecisionOutcome:
    button = ApprovalButton(name, kind)
    await store.inbox.accept(Message(user, f"t{name}", Payload(Choice(button.choice_id))), now=NOW, max_pending=9)
    turn = await owner.open()
    decision = await store.approvals.decide(turn, owner.epoch, button, at=NOW + 1)
    assert decision == await store.approvals.decide(turn, owner.epoch, button, at=NOW + 1), (
        "a turn that was cut decides the same"
    )
    await owner.end(turn)
    return decision.outcome


async def given(store: Store, user: str = "test:ann", account: str = "cn_1") -> Owner:
    owner = await own(store, await say(store, f"m {account}", user))
    if account:
        await connected(store, owner.person_id, account)
    await asked(store, owner, f"ap_{account or 'none'}", account=account)
    assert (
        await tapped(store, owner, ApprovalButtonKind.ALWAYS, f"ap_{account or 'none'}", user)
        is DecisionOutcome.APPROVED
    )
    return owner


async def test_a_button_gives_a_permission_for_one_tool_and_one_account(store: Store) -> None:
    owner = await given(store)
    assert await store.approvals.permissions(owner.person_id) == [CARDS]
    assert await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1")
    for tool, account in ((CARDS.tool, "cn_2"), (CARDS.tool, ""), ("SMALLTOOL_CREATE_LIST", "cn_1")):
        assert not await store.approvals.stands(owner.person_id, tool, account)


@pytest.mark.parametrize("kind", [ApprovalButtonKind.YES, ApprovalButtonKind.NO])
async def test_no_other_button_gives_a_permission(store: Store, kind: ApprovalButtonKind) -> None:
    owner = await own(store, await say(store, "m1"))
    await connected(store, owner.person_id)
    await asked(store, owner)
    await tapped(store, owner, kind)
    assert await store.approvals.permissions(owner.person_id) == []


async def test_a_button_that_was_not_offered_gives_nothing(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    await connected(store, owner.person_id)
    await asked(store, owner, may_stand=False)
    assert await tapped(store, owner, ApprovalButtonKind.ALWAYS) is DecisionOutcome.UNKNOWN
    assert await store.approvals.permissions(owner.person_id) == []


async def test_another_persons_account_does_not_count(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    bob = await say(store, "b1", "test:bob")
    await connected(store, bob)
    await asked(store, owner)
    await tapped(store, owner, ApprovalButtonKind.ALWAYS)
    assert not await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1")
    assert await store.approvals.permissions(bob) == []


@pytest.mark.parametrize("ended", ["disconnected", "expired"])
async def test_a_permission_ends_with_its_account(store: Store, ended: str) -> None:
    owner = await given(store)
    await given(store, account="")
    await status(store, "cn_1", ended)
    assert not await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1")
    assert await store.approvals.permissions(owner.person_id) == [StandingPermission(CARDS.tool, "")]
    await store.retention.forget_old(now=NOW)
    await status(store, "cn_1", "active")
    assert not await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1")


async def test_a_permission_is_kept_while_its_account_exists(store: Store) -> None:
    owner = await given(store)
    await store.retention.forget_old(now=NOW + 400 * 86_400)
    assert await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1")


@pytest.mark.parametrize(
    ("said", "command"),
    [("ask me again", Command.ASK_AGAIN), ("Ask me again for creating cards, please", Command.ASK_AGAIN),
     ("ask me again 1", Command.ASK_AGAIN), ("ask me again tomorrow", Command.NONE)],
)  # fmt: skip
async def test_the_phrase_revokes_matching_permissions_and_is_a_message_without_a_match(
    store: Store, said: str, command: Command
) -> None:
    owner = await given(store)
    accepted = await store.inbox.accept(Message("test:ann", "back", Payload(Text(said))), now=NOW, max_pending=9)
    assert accepted.command is command
    assert await store.approvals.stands(owner.person_id, CARDS.tool, "cn_1") is (command is Command.NONE)


async def test_a_number_revokes_one_and_an_earlier_button_gives_no_permission(store: Store) -> None:
    await given(store)
    owner = await given(store, account="")
    await say(store, "back", payload=Payload(Text("ask me again 1")))
    turn = await owner.open()
    assert await store.approvals.ask_again(turn, owner.epoch, "1") == [CARDS]
    await owner.end(turn)
    await say(store, "m9")
    await asked(store, owner, "ap_late")
    button = ApprovalButton("ap_late", ApprovalButtonKind.ALWAYS)
    await store.inbox.accept(Message("test:ann", "late", Payload(Choice(button.choice_id))), now=NOW, max_pending=9)
    await say(store, "all", payload=Payload(Text("ask me again")))
    turn = await owner.open()
    assert (await store.approvals.decide(turn, owner.epoch, button, at=NOW)).outcome is DecisionOutcome.APPROVED
    await owner.end(turn)
    assert await store.approvals.ask_again(await owner.open(), owner.epoch, "") == []


async def test_the_phrase_is_a_message_without_permissions(store: Store) -> None:
    await say(store, "m1")
    accepted = await store.inbox.accept(
        Message("test:ann", "back", Payload(Text("ask me again"))), now=NOW, max_pending=9
    )
    assert accepted.command is Command.NONE


async def test_a_former_owner_revokes_nothing(store: Store) -> None:
    owner = await given(store)
    await say(store, "m9")
    turn = await owner.open()
    await own(store, owner.person_id, "two")
    with pytest.raises(LeaseLost):
        await store.approvals.ask_again(turn, owner.epoch, "")
    assert await store.approvals.permissions(owner.person_id) == [CARDS]


async def test_a_merge_moves_permissions_with_their_person(store: Store) -> None:
    ann = await own(store, await say(store, "m0", now=NOW - 9))
    await ann.end(await ann.open())
    await asked_for_none(store, ann)
    newer = await given(store, "test:newer")
    await asked_for_none(store, newer, "test:newer", "ap_new")
    await store.merging.merge(ann.person_id, newer.person_id, now=NOW)
    assert set(await store.approvals.permissions(ann.person_id)) == {CARDS, StandingPermission(CARDS.tool, "")}
    assert await store.approvals.permissions(newer.person_id) == await store.approvals.permissions(ann.person_id)
    assert await store.approvals.stands(ann.person_id, CARDS.tool, "cn_1")

    def count(tx: Tx) -> int:
        return int(tx.execute(select(func.count()).select_from(schema.standing_permission)).scalar_one())

    assert await store.engine.read(count) == 2


async def asked_for_none(store: Store, owner: Owner, user: str = "test:ann", name: str = "ap_ann") -> None:
    """A tool without an account."""
    await say(store, f"m {name}", user)
    await asked(store, owner, name, account="")
    await tapped(store, owner, ApprovalButtonKind.ALWAYS, name, user)


async def test_a_reset_and_a_new_chat_keep_permissions(store: Store) -> None:
    owner = await given(store)
    await store.context.reset(owner.person_id)
    assert await store.approvals.permissions(owner.person_id) == [CARDS]


async def test_permissions_are_listed_with_their_accounts(store: Store) -> None:
    owner = await given(store)
    await given(store, account="")

    def name(tx: Tx) -> None:
        sealed = tx.cipher_of(owner.person_id).seal_json(["", "work"], place(schema.connection.c.private, "cn_1"))
        of_account = schema.connection.c.id == "cn_1"
        tx.execute(update(schema.connection).where(of_account).values(private=sealed, toolkit_name="SmallTool"))

    await store.engine.write(name)
    stands = await store.approvals.permissions(owner.person_id)
    assert {each.title for each in stands} == {
        "Smalltool create card, with SmallTool (work)",
        "Smalltool create card",
    }
    assert set(stands) == {CARDS, StandingPermission(CARDS.tool, "")}
