"""Every value from people, vendors and tools is stored, on both databases: none makes a write fail."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.messages import Link, Message, Reply, ReplyChoice, ReplyMode, Usage
from kernel_service.ports.payloads import Audio, Contact, Contacts, Document, Location, Payload, Text
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import CallRecord, HistoryItem, ToolUse, TurnStatus
from kernel_service.storable import storable, storable_text, to_json
from tests.contract.store.outbox import puller
from tests.contract.store.owner import NOW, history, own, say
from tests.odd_values import JSON_VALUES, ODD_TEXT, nested

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

at_random = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ODD_OBJECTS = st.dictionaries(ODD_TEXT, JSON_VALUES, max_size=4)


@at_random
@given(at=st.tuples(st.floats(), st.floats()), said=ODD_TEXT, filename=ODD_TEXT, mime_type=ODD_TEXT)
async def test_a_message_is_stored(
    store: Store, at: tuple[float, float], said: str, filename: str, mime_type: str
) -> None:
    document = Document(mime_type or "text/plain", filename + ".txt", media_ref=said)
    for content in (Text(said), document, Location(*at, said, filename), Contacts((Contact(said, (filename,)),))):
        user = f"test:{secrets.token_hex(8)}"
        message = Message(user, f"m{said}", Payload(content, caption=said))
        accepted = await store.inbox.accept(message, now=NOW, max_pending=9)
        again = await store.inbox.accept(message, now=NOW, max_pending=9)
        assert (again.duplicate, again.seq) == (True, accepted.seq)
        owner = await own(store, accepted.person_id)
        turn = await owner.ask(NOW + 1000)
        assert turn.messages[0].payload.caption == storable_text(said)  # type: ignore[union-attr]


@at_random
@given(value=JSON_VALUES, text=ODD_TEXT, arguments=ODD_OBJECTS)
@example(value=None, text="\ud800", arguments={})
@example(value=None, text="\0", arguments={})
async def test_a_turn_is_stored(store: Store, value: Any, text: str, arguments: dict[str, Any]) -> None:
    user = f"test:{secrets.token_hex(8)}"
    owner = await own(store, await say(store, "m1", user, reply_mode=ReplyMode.INLINE))
    turn = await owner.open()
    items = [HistoryItem("input", {"said": text}), HistoryItem("output", {"is": value, text: arguments}, text)]
    await store.turns.append(
        turn, owner.epoch, items, usage=Usage(), now=NOW,
        finished=text, started=CallRecord(text, text, NOW), used=ToolUse(text, failed=False, seconds=0.0),
    )  # fmt: skip
    reply = Reply(text, Link(text, text, None), (ReplyChoice(text, text, text),), text)
    approval = Approval(f"ap{secrets.token_hex(8)}", text, text, arguments, NOW + 9, text, text)
    await store.turns.end(
        turn, owner.epoch, items, [reply], status=TurnStatus.COMPLETED, problem=text, usage=Usage(),
        parked=[ParkedRequest(text, text)], prompts=[ApprovalPrompt((approval,), text)], now=NOW,
    )  # fmt: skip
    kept = await history(store, owner.person_id)
    assert [to_json(item.data) for item in kept] == [to_json(storable(item.data)) for item in (*items, *items)]
    (message,) = turn.messages
    answer = await store.inbox.answer_of(owner.person_id, message.seq)
    assert answer.replies[0].reply.text == storable_text(text)


async def test_deep_nesting_does_not_prevent_a_turn_from_being_stored(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await owner.append(turn, HistoryItem("result", {"output": nested(5000)}))
    assert len(await history(store, owner.person_id)) == 1


@at_random
@given(text=ODD_TEXT, bad=st.sampled_from(["\0", "\ud83d"]))
async def test_a_transcript_is_stored(store: Store, text: str, bad: str) -> None:
    user = f"test:{secrets.token_hex(8)}"
    payload = Payload(Audio("audio/ogg", media_ref="r"))
    accepted = await store.inbox.accept(Message(user, "m1", payload), now=NOW, max_pending=9)
    wanted = await store.media.lease(await puller(store), [], limit=9, seconds=9, now=NOW)
    media_id = max(each.media_id for each in wanted)
    await store.files.keep_transcript(media_id, text + bad, Usage(), now=NOW)
    assert (await store.files.find([media_id]))[media_id].transcript == storable_text(text + bad)
    assert accepted.wants_media
