"""The recipients and order of replies, and the outcome of leases. On every engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import CallerError
from kernel_service.ports.messages import Alias, Link, Reply, ReplyChoice
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.typing import TypingItem
from tests.contract.store.outbox import ADDRESS, CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts
from tests.contract.store.owner import own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def test_a_lease_contains_the_whole_notice(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    told = Reply("Done.", Link("https://example.org/c", "Connect", 5.5), (ReplyChoice("y", "Yes", "do it"),), "m1")
    reply_id = await store.outbox.notify(anna.person_id, told, channel=CHANNEL, address=ADDRESS, now=NOW)
    [lease] = await pull(store)
    assert (lease.reply.id, lease.reply.reply, lease.reply.created_at) == (reply_id, told, NOW)
    assert (lease.person_id, lease.user_id, lease.address) == (anna.person_id, "test:anna", ADDRESS)
    assert lease.token
    assert lease.expires_at == NOW + LEASE_SECONDS
    assert (lease.sent_parts, lease.parts, lease.split_version) == ([], 0, "")


async def test_a_person_gets_one_reply_at_a_time_and_others_do_not_wait(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    for text in ("a1", "a2", "a3"):
        await anna.tell(text)
    await bruno.tell("b1")
    first = await pull(store)
    assert [lease.reply.reply.text for lease in first] == ["a1", "b1"]
    assert await pull(store) == []
    await ack(store, first[0])
    assert await pulled_texts(store) == ["a2"]


async def test_a_lease_says_whether_another_reply_waits_for_it(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    for chat, text in ((anna, "a1"), (bruno, "b1"), (anna, "a2")):
        await chat.tell(text)
    first = await pull(store)
    assert [(lease.reply.reply.text, lease.has_next) for lease in first] == [("a1", True), ("b1", False)]
    await ack(store, first[0])
    assert [lease.has_next for lease in await pull(store)] == [False]


async def test_leases_are_limited_by_channel_address_and_count(store: Store) -> None:
    for name in ("anna", "bruno", "carla"):
        await (await Chat(store, f"test:{name}").write()).tell(name)
    await (await Chat(store, "test:dora", address="counter").write()).tell("dora")
    assert await pull(store, channel="other") == []
    assert [one.user_id for one in await pull(store, "counter", "door")] == ["test:dora"]
    assert len(await pull(store, limit=2)) == 2
    assert len(await pull(store, ADDRESS)) == 1


async def test_concurrent_pulls_never_get_the_same_reply(store: Store) -> None:
    chats = [await Chat(store, f"test:{number}").write() for number in range(12)]
    for text in ("first", "second"):
        await asyncio.gather(*(chat.tell(text) for chat in chats))
    pulled = await asyncio.gather(*(pull(store, limit=5) for _ in range(8)))
    leases = [lease for batch in pulled for lease in batch]
    assert sorted(lease.user_id for lease in leases) == sorted(chat.user_id for chat in chats)
    assert {lease.reply.reply.text for lease in leases} == {"first"}


async def test_a_reply_is_sent_when_its_last_part_is(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    await anna.tell("next")
    [lease] = await pull(store)
    assert await ack(store, lease, part=1, parts=2, channel_message_id="w1") is AckResult.RECORDED
    assert (await anna.view(reply_id)).state == "leased"
    assert await pull(store) == []
    assert await ack(store, lease, part=2, parts=2, now=NOW + 1) is AckResult.RECORDED
    view = await anna.view(reply_id)
    assert (view.state, view.settled_at, [part.sent for part in view.parts]) == ("sent", NOW + 1, [True, True])
    assert await pulled_texts(store) == ["next"]


async def test_a_repeated_acknowledgement_changes_nothing(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("once")
    [lease] = await pull(store)
    await ack(store, lease)
    before = await anna.view(reply_id)
    assert await ack(store, lease, now=NOW + 9) is AckResult.RECORDED
    assert await anna.view(reply_id) == before


async def test_a_reply_leased_again_names_the_parts_that_were_sent(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    await anna.tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=3, split_version="7")
    await ack(store, lease, Outcome.RETRY, part=2, parts=3, split_version="7", retry_after=0)
    [again] = await pull(store)
    assert (again.sent_parts, again.parts, again.split_version) == ([1], 3, "7")
    assert again.token != lease.token


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.WINDOW_CLOSED])
async def test_an_unsent_reply_may_be_split_by_another_rule(store: Store, outcome: Outcome) -> None:
    """A reply may wait for days, and its channel may be upgraded meanwhile."""
    anna = await Chat(store, "test:anna").write()
    await anna.tell("long")
    [lease] = await pull(store)
    await ack(store, lease, outcome, part=1, parts=2, split_version="1", retry_after=0)
    await anna.write(now=NOW + 1)
    [again] = await pull(store, now=NOW + 1)
    assert await ack(store, again, part=1, parts=3, split_version="2", now=NOW + 1) is AckResult.RECORDED


@pytest.mark.parametrize(
    ("part", "parts", "split_version"), [(1, 3, "1"), (0, 2, "1"), (3, 2, "1"), (1, 2, "2"), (1, 101, "1")]
)
async def test_impossible_parts_are_invalid(store: Store, part: int, parts: int, split_version: str) -> None:
    await (await Chat(store, "test:anna").write()).tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2, split_version="1")
    result = await ack(store, lease, part=part, parts=parts, split_version=split_version)
    assert result is AckResult.INVALID


async def test_a_channel_settles_only_its_own_replies(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("mine")
    [lease] = await pull(store)
    assert await ack(store, lease, channel="other") is AckResult.UNKNOWN
    assert await ack(store, lease, token="") is AckResult.INVALID
    assert (await anna.view(reply_id)).state == "leased"


async def test_a_failure_under_another_token_is_stale_and_success_counts(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("twice leased")
    [old] = await pull(store)
    await ack(store, old, Outcome.RETRY, retry_after=0)
    [new] = await pull(store)
    assert await ack(store, old, Outcome.FAILED) is AckResult.STALE
    assert (await anna.view(reply_id)).state == "leased"
    assert await ack(store, old) is AckResult.RECORDED
    assert (await anna.view(reply_id)).state == "sent"
    assert await ack(store, new, Outcome.FAILED) is AckResult.RECORDED
    assert (await anna.view(reply_id)).state == "sent"


async def test_a_failure_after_the_lease_expired_is_stale(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("slow")
    [lease] = await pull(store)
    late = NOW + LEASE_SECONDS + 1
    assert await ack(store, lease, Outcome.FAILED, now=late) is AckResult.STALE
    assert await lapse(store, now=late) == 1
    assert await ack(store, lease, Outcome.FAILED, now=late) is AckResult.STALE
    assert (await anna.view(reply_id)).state == "in_doubt"
    assert await ack(store, lease, now=late) is AckResult.RECORDED
    assert (await anna.view(reply_id)).state == "sent"


async def test_a_retry_waits_for_its_time_and_keeps_the_order(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("first")
    await anna.tell("second")
    [lease] = await pull(store)
    assert await ack(store, lease, Outcome.RETRY, retry_after=12, error_code="131056") is AckResult.RECORDED
    assert (await anna.view(reply_id)).error_code == "131056"
    assert await pulled_texts(store, now=NOW + 11.9) == []
    assert await pulled_texts(store, now=NOW + 12) == ["first"]


async def test_a_retry_without_a_time_backs_off_up_to_five_minutes(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("again and again")
    now = NOW
    for wait in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        [lease] = await pull(store, now=now)
        await ack(store, lease, Outcome.RETRY, now=now)
        assert await pull(store, now=now + 0.75 * wait - 0.1) == []  # with jitter over the last quarter
        now += wait


async def test_a_failed_reply_is_kept_and_does_not_block_the_next_one(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("undeliverable")
    await anna.tell("next")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.FAILED, error_code="131026", now=NOW + 1)
    view = await anna.view(reply_id)
    assert (view.state, view.error_code, view.settled_at) == ("failed", "131026", NOW + 1)
    assert await ack(store, lease, Outcome.FAILED) is AckResult.RECORDED
    assert await pulled_texts(store) == ["next"]


@pytest.mark.parametrize(("waited", "text"), [(60, "call Ada"), (3 * 3600, "call Ada (due at 9)")])
async def test_a_reminder_that_waited_says_when_it_was_due(store: Store, waited: int, text: str) -> None:
    ann = await Chat(store, "test:ann").write()
    await ann.tell("call Ada", late="call Ada (due at 9)")
    (lease,) = await pull(store)
    assert lease.reply.reply.text == "call Ada"
    await ack(store, lease, Outcome.WINDOW_CLOSED)
    await ann.write(now=NOW + waited)
    assert await pulled_texts(store, now=NOW + waited) == [text]


async def test_a_closed_window_holds_until_the_person_writes(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("too late")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.WINDOW_CLOSED, error_code="131047")
    assert (await anna.view(reply_id)).state == "held"
    assert await pull(store, now=NOW + 90_000) == []
    await (await Chat(store, "test:bruno").write()).tell("bobs")
    assert await pulled_texts(store, now=NOW + 90_000) == ["bobs"]
    await anna.write(now=NOW + 90_000)
    assert await pulled_texts(store, now=NOW + 90_000) == ["too late"]


async def test_the_recipient_is_the_strong_id_under_which_the_person_writes(store: Store) -> None:
    parent, phone = Alias("test:anna.parent"), Alias("test:+1", strong=False)
    anna = await Chat(store, "test:anna").write(Alias("test:anna"), phone)
    await anna.write(Alias("test:anna"), parent, phone, now=NOW + 1)
    await anna.tell("hello", now=NOW + 2)
    assert [lease.user_id for lease in await pull(store, now=NOW + 2)] == ["test:anna"]


async def test_the_recipient_is_determined_when_the_reply_is_leased(store: Store) -> None:
    phone = Alias("test:+1", strong=False)
    by_number = await Chat(store, "test:+1").write(phone)
    await by_number.tell("hello")
    by_name = await Chat(store, "test:anna", sent=1).write(Alias("test:anna"), phone, now=NOW + 1)
    assert by_name.person_id == by_number.person_id
    assert [lease.user_id for lease in await pull(store, now=NOW + 1)] == ["test:anna"]


async def test_of_two_ids_in_use_the_newer_gets_the_reply(store: Store) -> None:
    parent = Alias("test:parent")
    old = await Chat(store, "test:old").write(Alias("test:old"), parent)
    new = await Chat(store, "test:new", sent=1).write(Alias("test:new"), parent, now=NOW + 1)
    assert old.person_id == new.person_id
    await old.tell("hello")
    assert [lease.user_id for lease in await pull(store)] == ["test:new"]


async def test_a_recycled_number_never_gets_replies_for_its_former_owner(store: Store) -> None:
    phone = Alias("test:+1", strong=False)
    anna = await Chat(store, "test:anna").write(Alias("test:anna"), phone)
    await anna.tell("for anna")
    stranger = await Chat(store, "test:stranger").write(Alias("test:stranger"), phone, now=NOW + 1)
    assert stranger.person_id != anna.person_id
    assert [lease.user_id for lease in await pull(store, now=NOW + 1)] == ["test:anna"]


async def test_without_an_id_in_the_channel_a_reply_is_held(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await store.outbox.notify(anna.person_id, Reply("elsewhere"), channel="other", address=ADDRESS, now=NOW)
    assert await pull(store, channel="other") == []
    view = await anna.view(reply_id)
    assert (view.state, view.error_code) == ("held", "no_recipient")
    await anna.write()
    assert (await anna.view(reply_id)).state == "held"


async def test_replies_are_listed_newest_first_page_by_page(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    ids = [await anna.tell(f"{number}") for number in range(5)]
    await bruno.tell("bobs")
    shown, token = [], ""
    for size in (2, 2, 1):
        page, token = await store.admin.replies(anna.person_id, limit=2, before=token)
        assert len(page) == size
        shown += [view.id for view in page]
    assert (shown, token) == (ids[::-1], "")


async def test_a_forged_page_token_is_rejected(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    for token in ("nonsense", "-1", "9" * 30):
        with pytest.raises(CallerError) as refused:
            await store.admin.replies(anna.person_id, limit=2, before=token)
        assert refused.value.reason == "FIELD_INVALID"


async def test_a_lease_that_never_arrived_is_withdrawn_at_once(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("hello")
    [lease] = await pull(store)
    await store.outbox.release([(lease.reply.id, "another's token")])
    assert await pull(store, now=NOW + 1) == []
    await store.outbox.release([(lease.reply.id, lease.token)])
    [again] = await pull(store, now=NOW + 1)
    assert again.reply.id == lease.reply.id
    await ack(store, again, Outcome.SENT, now=NOW + 2)
    await store.outbox.release([(again.reply.id, again.token)])  # too late: it was sent
    assert await pull(store, now=NOW + 3) == []


async def test_a_typing_item_goes_to_the_recipient_of_the_answer(store: Store) -> None:
    owner = await own(store, await say(store, "m1", "test:anna", address=ADDRESS))
    turn = await owner.open()
    seq = turn.messages[-1].seq
    assert await store.outbox.typing_item(seq) == TypingItem("test:anna", ADDRESS, "m1")
    assert await store.outbox.typing_item(seq + 1) is None
    await owner.end(turn)
    assert await store.outbox.typing_item(seq) is None
