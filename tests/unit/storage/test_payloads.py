"""The stored form of a payload is protobuf's JSON, byte for byte: a redelivered message is identified by its digest."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given
from hypothesis import strategies as st
from kernel.v1 import media_pb2, messages_pb2

from kernel_service.api.payloads import payload as read
from kernel_service.ports.payloads import (
    Audio,
    Choice,
    Contact,
    Contacts,
    Document,
    Edit,
    Image,
    Location,
    Payload,
    Reaction,
    Referral,
    Revoke,
    Text,
    Unsupported,
)
from kernel_service.storable import from_json, to_json
from kernel_service.storage.schema.payloads import from_stored, to_stored

WORDS = st.text(max_size=9)
SOURCES = st.one_of(
    st.builds(lambda data: {"data": data}, st.binary(max_size=9)),
    st.builds(lambda ref: {"media_ref": ref}, WORDS),
)
MEDIA = st.builds(
    lambda source, **fields: media_pb2.Media(**source, **fields),
    source=SOURCES, mime_type=st.text(min_size=1, max_size=9), filename=WORDS, sha256=st.binary(max_size=32),
    size_bytes=st.integers(-(2**63), 2**63 - 1), voice=st.booleans(),
)  # fmt: skip
CARDS = st.builds(
    messages_pb2.Contact, name=WORDS, phones=st.lists(WORDS, max_size=2), emails=st.lists(WORDS, max_size=2),
    organization=WORDS,
)  # fmt: skip
KINDS = {
    "text": st.text(min_size=1, max_size=9),
    **dict.fromkeys(("image", "audio", "video", "document", "sticker"), MEDIA),
    "location": st.builds(
        messages_pb2.Location, latitude=st.floats(), longitude=st.floats(), name=WORDS, address=WORDS
    ),
    "contacts": st.builds(messages_pb2.Contacts, contacts=st.lists(CARDS, max_size=2)),
    "choice": st.builds(messages_pb2.Choice, id=WORDS, title=WORDS, description=WORDS, form_json=WORDS),
    "reaction": st.builds(messages_pb2.Reaction, message_id=WORDS, emoji=WORDS),
    "edit": st.builds(messages_pb2.Edit, message_id=WORDS, text=WORDS),
    "revoke": st.builds(messages_pb2.Revoke, message_id=WORDS),
    "unsupported": st.builds(messages_pb2.Unsupported, kind=WORDS, detail=WORDS),
}
TIMES = st.builds(
    lambda seconds, nanos: {"seconds": seconds, "nanos": nanos},
    st.integers(-62_135_596_800, 253_402_300_799),
    st.sampled_from([0, 1, 999, 1000, 500_000_000, 1_500_000, 999_999_999]),
)
REFERRALS = st.builds(messages_pb2.Referral, kind=WORDS, headline=WORDS, body=WORDS, url=WORDS)


@st.composite
def payloads(draw: st.DrawFn) -> messages_pb2.Payload:
    """Payloads of every kind, with everything that may accompany the content."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    beside = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "caption": WORDS,
                "quoted_message_id": WORDS,
                "sent_at": TIMES,
                "forwarded": st.booleans(),
                "referral": REFERRALS,
            },
        )
    )
    fields: dict[str, Any] = {kind: draw(KINDS[kind]), **beside}
    return messages_pb2.Payload(**fields)


@given(sent=payloads())
@example(sent=messages_pb2.Payload(location=messages_pb2.Location(latitude=-0.0, longitude=math.inf)))
@example(sent=messages_pb2.Payload(image=media_pb2.Media(mime_type="image/png", data=b"")))
@example(sent=messages_pb2.Payload(image=media_pb2.Media(mime_type="image/png", media_ref="")))
@example(sent=messages_pb2.Payload(text="hi", referral=messages_pb2.Referral()))
def test_stored_bytes_equal_those_of_earlier_releases(sent: messages_pb2.Payload) -> None:
    earlier = MessageToDict(sent, preserving_proto_field_name=True)
    assert to_json(to_stored(read(sent)), sort_keys=True) == to_json(earlier, sort_keys=True)


@given(sent=payloads())
def test_a_payload_is_read_as_it_was_stored(sent: messages_pb2.Payload) -> None:
    stored = to_json(to_stored(read(sent)))
    assert to_json(to_stored(from_stored(from_json(stored)))) == stored


ROWS = [
    ({"text": "hello", "sent_at": "2026-11-26T10:00:00.021Z"}, Payload(Text("hello"), sent_at_ns=1795687200021000000)),
    ({"text": "BCDF-GHJK", "code": "BCDFGHJK"}, Payload(Text("BCDF-GHJK"), code="BCDFGHJK")),
    (
        {"image": {"mime_type": "image/png", "media_ref": "r", "sha256": "eA==", "size_bytes": "7", "media_id": "m_1"}},
        Payload(Image("image/png", media_ref="r", sha256=b"x", size_bytes=7, media_id="m_1")),
    ),
    (
        {"audio": {"mime_type": "audio/ogg", "voice": True, "media_id": "m_1", "transcript": ""}},
        Payload(Audio("audio/ogg", voice=True, media_id="m_1", transcript="")),
    ),
    (
        {"document": {"mime_type": "application/pdf", "filename": "a.pdf"}, "caption": "Pay", "forwarded": True},
        Payload(Document("application/pdf", "a.pdf"), caption="Pay", forwarded=True),
    ),
    ({"location": {"latitude": 48.25, "longitude": 16.0}}, Payload(Location(48.25, 16.0))),
    ({"location": {}}, Payload(Location())),
    (
        {"contacts": {"contacts": [{"name": "Eve", "phones": ["+1"]}, {}]}},
        Payload(Contacts((Contact("Eve", ("+1",)), Contact()))),
    ),
    ({"contacts": {}}, Payload(Contacts())),
    ({"choice": {"id": "c", "form_json": "{}"}}, Payload(Choice("c", form_json="{}"))),
    ({"reaction": {"message_id": "m"}}, Payload(Reaction("m"))),
    ({"edit": {"message_id": "m", "text": "x"}}, Payload(Edit("m", "x"))),
    ({"revoke": {"message_id": "m"}, "quoted_message_id": "q"}, Payload(Revoke("m"), quoted_message_id="q")),
    ({"unsupported": {"kind": "poll", "detail": "d"}}, Payload(Unsupported("poll", "d"))),
    ({"unsupported": {}}, Payload(Unsupported())),
    ({"text": "hi", "referral": {}}, Payload(Text("hi"), referral=Referral())),
    ({"text": "hi", "referral": {"kind": "ad"}}, Payload(Text("hi"), referral=Referral("ad"))),
]  # fmt: skip


@pytest.mark.parametrize(("row", "payload"), ROWS)
def test_rows_of_earlier_releases_are_read_and_written_unchanged(row: dict[str, object], payload: Payload) -> None:
    assert from_stored(row) == payload
    assert to_stored(payload) == row


@pytest.mark.parametrize(
    ("row", "payload"),
    [
        ({"hologram": {"a": 1}}, Payload(Unsupported("hologram"))),
        ({"caption": "hi", "hologram": []}, Payload(Unsupported("hologram"), caption="hi")),
        ({"text": "hi", "mood": "good"}, Payload(Text("hi"))),
        ({"choice": {"id": "c", "colour": "red"}}, Payload(Choice("c"))),
        ({"text": "hi", "sent_at": "yesterday"}, Payload(Text("hi"))),
    ],
)
def test_unknown_fields_of_a_later_release_are_ignored(row: dict[str, object], payload: Payload) -> None:
    assert from_stored(row) == payload


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"caption": "alone"},
        {"image": "a picture"},
        {"image": {"sha256": "eA"}},
        {"image": {"size_bytes": "many"}},
        {"contacts": [{}]},
        {"location": None},
        {"location": {"latitude": "north"}},
        {"text": "hi", "referral": 7},
        {"text": "hi", "sent_at": 7},
    ],
)
def test_values_that_are_not_payloads_are_rejected(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="another form"):
        from_stored(row)
