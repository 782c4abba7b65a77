"""Receipts settle parts, before or after the acknowledgement and in any order. On every engine."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.admin import PartView
from kernel_service.ports.outbox import Outcome
from kernel_service.ports.states.part import PartState
from tests.contract.store.outbox import LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts, receipt

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def test_a_receipt_settles_a_doubt(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("perhaps sent")
    await anna.tell("next")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.UNKNOWN)
    assert await receipt(store, reply_id, "sent", now=NOW + 3) == 1
    view = await anna.view(reply_id)
    assert (view.state, view.settled_at, view.parts) == (
        "sent",
        NOW + 3,
        [PartView(1, sent=True, receipt=PartState.SENT, error_code="")],
    )
    assert await pulled_texts(store) == ["next"]
    assert await lapse(store, now=NOW + 9_999, connected=9_999, grace=1) == 1  # only the next one's lease


async def test_a_receipt_may_come_before_the_acknowledgement(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("quick")
    [lease] = await pull(store)
    await receipt(store, reply_id, "delivered")
    assert (await anna.view(reply_id)).state == "sent"
    await ack(store, lease, channel_message_id="w1")
    assert [part.receipt for part in (await anna.view(reply_id)).parts] == ["delivered"]


async def test_a_receipt_of_one_part_leaves_the_others_in_doubt(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    await pull(store)
    late = NOW + LEASE_SECONDS + 1
    await lapse(store, now=late)
    await receipt(store, reply_id, "sent", part=1, parts=2, now=late)
    assert (await anna.view(reply_id)).state == "in_doubt"
    await lapse(store, now=late + 11, connected=11, grace=10)
    [again] = await pull(store, now=late + 11)
    assert (again.sent_parts, again.parts, again.split_version) == ([1], 2, "")
    await ack(store, again, part=2, parts=2, now=late + 11)
    assert (await anna.view(reply_id)).state == "sent"


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])))
async def test_receipts_never_go_backwards(store: Store, order: tuple[str, ...]) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("hello")
    for state in order:
        assert await receipt(store, reply_id, state) == 1
    view = await anna.view(reply_id)
    assert (view.state, [part.receipt for part in view.parts]) == ("sent", ["read"])


async def test_a_repeated_receipt_changes_nothing(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("hello")
    await receipt(store, reply_id, "played")
    before = await anna.view(reply_id)
    assert await receipt(store, reply_id, "played", now=NOW + 5) == 1
    assert await anna.view(reply_id) == before


async def test_a_failed_part_fails_an_unsettled_reply(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("refused")
    await anna.tell("next")
    [lease] = await pull(store)
    await receipt(store, reply_id, "failed", error_code="131026", now=NOW + 2)
    view = await anna.view(reply_id)
    assert (view.state, view.error_code, view.settled_at) == ("failed", "131026", NOW + 2)
    assert view.parts == [PartView(1, sent=False, receipt=PartState.FAILED, error_code="131026")]
    await ack(store, lease, channel_message_id="w1")
    assert (await anna.view(reply_id)).state == "failed"
    assert await pulled_texts(store) == ["next"]


async def test_a_part_on_the_device_did_not_fail(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("hello")
    await pull(store)
    for state in ("failed", "sent", "delivered", "failed"):
        await receipt(store, reply_id, state, error_code="1" if state == "failed" else "")
    view = await anna.view(reply_id)
    assert (view.state, view.parts) == ("sent", [PartView(1, sent=True, receipt=PartState.DELIVERED, error_code="")])


async def test_a_part_is_found_by_the_channels_own_id(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=2, parts=2, channel_message_id="w2")
    assert await receipt(store, "", "read", part=0, parts=0, channel_message_id="w2") == 1
    assert [part.receipt for part in (await anna.view(reply_id)).parts] == ["", "read"]
    assert await receipt(store, "", "read", part=0, parts=0, channel_message_id="w3") == 0
    assert await receipt(store, "", "read", part=0, parts=0) == 0


@pytest.mark.parametrize(("part", "parts"), [(0, 1), (2, 1), (1, 3), (3, 3), (101, 101)])
async def test_a_receipt_of_an_impossible_part_has_no_effect(store: Store, part: int, parts: int) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2)
    before = await anna.view(reply_id)
    assert await receipt(store, reply_id, "failed", part=part, parts=parts) == 0
    assert await anna.view(reply_id) == before


async def test_a_channel_reports_only_on_its_own_replies(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("hello")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2, channel_message_id="w1")
    assert await receipt(store, reply_id, "read", channel="other") == 0
    assert await receipt(store, "", "read", part=0, parts=0, channel_message_id="w1", channel="other") == 0
    assert await receipt(store, "rp_nobody", "read") == 0
    assert [part.receipt for part in (await anna.view(reply_id)).parts] == ["", ""]


async def test_two_channels_may_give_the_same_id(store: Store) -> None:
    anna, olga = await Chat(store, "test:anna").write(), await Chat(store, "other:olga").write()
    hers, others = await anna.tell("hello"), await olga.tell("hello")
    for channel in ("test", "other"):
        [lease] = await pull(store, channel=channel)
        await ack(store, lease, channel_message_id="w1", channel=channel)
    for channel in ("other", "test"):
        assert await receipt(store, "", "read", part=0, parts=0, channel_message_id="w1", channel=channel) == 1
    assert [part.receipt for part in (await anna.view(hers)).parts] == ["read"]
    assert [part.receipt for part in (await olga.view(others)).parts] == ["read"]


async def test_a_receipt_without_the_channels_id_does_not_lose_it(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("hello")
    [lease] = await pull(store)
    await ack(store, lease, channel_message_id="w1")
    await receipt(store, reply_id, "delivered")
    assert await receipt(store, "", "read", part=0, parts=0, channel_message_id="w1") == 1
