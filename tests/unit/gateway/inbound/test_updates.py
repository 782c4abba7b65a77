"""Parsing webhooks, and that no content of one can do harm."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_gateway.inbound import updates
from whatsapp_gateway.inbound.body import read_json
from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.kernel.messages import message_request
from whatsapp_gateway.kernel.reports import receipt
from whatsapp_gateway.model.updates import (
    AccountError,
    Alias,
    Choice,
    Contact,
    Contacts,
    Edit,
    IdentityChange,
    Ignored,
    Location,
    Malformed,
    Media,
    Message,
    Reaction,
    Revoke,
    Status,
    Text,
    Unsupported,
    Update,
)

NUMBER = "106540352242922"
FORM_OF_NO_JSON = Choice("flow", "", "", '{"response":"{"}')


def webhook(**value: Any) -> dict[str, Any]:
    change = {"field": "messages", "value": {"metadata": {"phone_number_id": NUMBER}} | value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def read(body: Any) -> list[Update]:
    return list(read_updates(body, {NUMBER}))


def read_one(message: dict[str, Any], contacts: Any = ()) -> Update:
    told = {"id": "wamid.1", "timestamp": "1749416383", "type": "text", "text": {"body": "hi"}} | message
    (update,) = read(webhook(messages=[told], contacts=list(contacts)))
    return update


@pytest.mark.parametrize(
    ("message", "contacts", "aliases"),
    [
        ({"from_user_id": "US.A1"}, [], ["US.A1+"]),
        ({"from": "15550001"}, [], ["15550001"]),
        ({"from": "+15550001"}, [], ["15550001"]),
        # A BSUID in `from` is recognised by its form.
        ({"from": "US.A1"}, [], ["US.A1+"]),
        ({"from_user_id": "US.A1", "from": "15550001"}, [], ["US.A1+", "15550001"]),
        ({"from_user_id": "US.A1", "from_parent_user_id": "US.ENT.P"}, [], ["US.A1+", "US.ENT.P+"]),
        # The contact is found by its id, in any position.
        (
            {"from": "15550001"},
            [{"wa_id": "15550002", "user_id": "US.B2"}, {"wa_id": "15550001", "user_id": "US.A1"}],
            ["US.A1+", "15550001"],
        ),
        ({"from": "15550001"}, [{"wa_id": "15550002", "user_id": "US.B2"}], ["15550001"]),
        (
            {"from_user_id": "US.A1"},
            [{"user_id": "US.A1", "wa_id": "15550001", "parent_user_id": "US.ENT.P"}],
            ["US.A1+", "15550001", "US.ENT.P+"],
        ),
        # A contact that only shares the phone is another person, or the same person under another id.
        (
            {"from_user_id": "US.A1", "from": "15550001"},
            [{"wa_id": "15550001", "user_id": "US.B2"}, {"wa_id": "15550001", "user_id": "US.A1"}],
            ["US.A1+", "15550001"],
        ),
        # A parent id identifies the person, but is never their key.
        ({"from": "US.ENT.P"}, [{"user_id": "US.A1", "parent_user_id": "US.ENT.P"}], ["US.A1+", "US.ENT.P+"]),
        ({"from": "15550001", "from_user_id": None}, [None, 5, {"user_id": 7}], ["15550001"]),
    ],
)
def test_the_sender_is_identified_by_their_ids(
    message: dict[str, Any], contacts: list[Any], aliases: list[str]
) -> None:
    update = read_one(message, contacts)
    assert isinstance(update, Message)
    expected = tuple(Alias(f"whatsapp:{name.rstrip('+')}", name.endswith("+")) for name in aliases)
    assert update.sender.aliases == expected
    assert update.sender.user_id == expected[0].user_id


@pytest.mark.parametrize(
    ("message", "contacts", "reason"),
    [
        ({}, [], "sender_missing"),
        ({"from": ""}, [{"user_id": "US.A1", "wa_id": "15550001"}], "sender_missing"),
        ({"from": "US.ENT.P"}, [], "sender_missing"),
        ({"from_user_id": "default_user"}, [], "sender_unreadable"),
        ({"from_user_id": "US.A1,US.B2"}, [], "sender_unreadable"),
        ({"from_user_id": "US.A1", "from": "Ann"}, [], "sender_unreadable"),
        ({"from_user_id": "US.A1", "from": "US.B2"}, [], "sender_unreadable"),
        ({"from": ["15550001"]}, [], "sender_unreadable"),
        # The message names one person, and the contact of its number another.
        (
            {"from_user_id": "US.A1", "from": "15550001"},
            [{"wa_id": "15550001", "user_id": "US.B2"}],
            "sender_contradicted",
        ),
        (
            {"from_user_id": "US.A1", "from": "15550001"},
            [{"wa_id": "15550002", "user_id": "US.A1"}],
            "sender_contradicted",
        ),
        (
            {"from": "15550001"},
            [{"wa_id": "15550001", "user_id": "US.A1"}, {"wa_id": "15550001", "user_id": "US.B2"}],
            "sender_contradicted",
        ),
        ({"from_user_id": "US.A1", "group_id": "g1"}, [], "group"),
        ({"from_user_id": "US.A1", "group_id": ""}, [], "group"),
    ],
)
def test_a_sender_who_is_not_certain_is_malformed(message: dict[str, Any], contacts: list[Any], reason: str) -> None:
    assert read_one(message, contacts) == Malformed(reason, "wamid.1")


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("text", {"body": "hi"}, Text("hi")),
        ("text", {"body": ""}, Unsupported("text", "unreadable")),
        ("text", "hi", Unsupported("text", "unreadable")),
        (
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "a", "title": "A"}},
            Choice("a", "A"),
        ),
        (
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "a", "title": "A", "description": "d"}},
            Choice("a", "A", "d"),
        ),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {}}, Unsupported("interactive", "unreadable")),
        ("interactive", None, Unsupported("interactive", "unreadable")),
        ("button", {"payload": "p", "text": "Yes"}, Choice("p", "Yes")),
        ("button", {"text": "Yes"}, Choice("Yes", "Yes")),
        ("reaction", {"message_id": "wamid.0", "emoji": "👍"}, Reaction("wamid.0", "👍")),
        ("reaction", {"message_id": "wamid.0"}, Reaction("wamid.0", "")),
        (
            "edit",
            {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "new"}}},
            Edit("wamid.0", "new"),
        ),
        ("edit", {"original_message_id": "wamid.0"}, Unsupported("edit", "unreadable")),
        ("revoke", {"original_message_id": "wamid.0"}, Revoke("wamid.0")),
        ("text", {"body": "é" * 32768}, Text("é" * 32768)),
        ("image", {"id": "../me", "mime_type": "image/png"}, Unsupported("image", "unreadable")),
        ("image", {"id": "1", "mime_type": "image/png"}, Media("image", "1", "image/png")),
        ("image", {"id": "1"}, Media("image", "1", "application/octet-stream")),
        ("image", {"id": "1", "mime_type": "a\nb"}, Media("image", "1", "application/octet-stream")),
        ("image", {"id": 1, "mime_type": "image/png"}, Unsupported("image", "unreadable")),
        ("image", None, Unsupported("image", "unreadable")),
        ("video", {"id": "1", "mime_type": "video/mp4", "file_size": "70"}, Media("video", "1", "video/mp4", size=70)),
        ("sticker", {"id": "1", "mime_type": "image/webp", "file_size": -1}, Media("sticker", "1", "image/webp")),
        ("audio", {"id": "1", "mime_type": "audio/ogg", "voice": "yes"}, Media("audio", "1", "audio/ogg")),
        ("voice", {"id": "1", "mime_type": "audio/ogg"}, Media("audio", "1", "audio/ogg", voice=True)),
        ("document", {"id": "1", "mime_type": "a/b", "sha256": "00" * 32}, Media("document", "1", "a/b", bytes(32))),
        ("document", {"id": "1", "mime_type": "a/b", "sha256": "0" * 63}, Media("document", "1", "a/b")),
        ("document", {"id": "1", "mime_type": "a/b", "sha256": "é" * 64}, Media("document", "1", "a/b")),
        ("document", {"id": "1", "mime_type": "a/b", "sha256": "AAAA"}, Media("document", "1", "a/b")),
        (
            "document",
            {"id": "1", "mime_type": "a/b", "filename": "é" * 200 + ".pdf"},
            Media("document", "1", "a/b", filename="é" * 125 + ".pdf"),
        ),
        ("location", {"latitude": "1.5", "longitude": 2}, Location(1.5, 2)),
        ("location", {"latitude": 91, "longitude": 2}, Unsupported("location", "unreadable")),
        ("location", {"latitude": "nan", "longitude": 2}, Unsupported("location", "unreadable")),
        ("location", {"latitude": True, "longitude": 2}, Unsupported("location", "unreadable")),
        ("location", {"latitude": 1}, Unsupported("location", "unreadable")),
        ("contacts", [{"phones": [{"wa_id": "1"}, {}, 5]}, 7, {}], Contacts((Contact("", ("1",)),))),
        ("contacts", [{"name": {"first_name": "A", "last_name": "B"}}], Contacts((Contact("A B"),))),
        ("contacts", [{}], Unsupported("contacts", "unreadable")),
        ("contacts", {"name": 1}, Unsupported("contacts", "unreadable")),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"response_json": "{"}}, FORM_OF_NO_JSON),
        (
            "interactive",
            {"type": "nfm_reply", "nfm_reply": {"response_json": "5"}},
            Choice("flow", "", "", '{"response":5}'),
        ),
        ("interactive", {"type": "product", "product": {}}, Unsupported("interactive", "product")),
        ("order", {"product_items": []}, Unsupported("order", "unreadable")),
        ("request_welcome", None, Unsupported("request_welcome")),
        ("unsupported", None, Unsupported("unsupported")),
        ("unsupported", {"type": "poll"}, Unsupported("poll")),
        ("unsupported", {"type": "опрос"}, Unsupported("unknown")),
        ("poll", {"x": 1}, Unsupported("poll")),
        ("x" * 99, None, Unsupported("x" * 64)),
        ("опрос", None, Unsupported("unknown")),
        (None, None, Unsupported("unknown")),
        (["text"], None, Unsupported("unknown")),
    ],
)
def test_every_type_results_in_a_message_that_can_be_answered(kind: Any, content: Any, expected: object) -> None:
    update = read_one({"from_user_id": "US.A1", "type": kind, str(kind): content})
    assert isinstance(update, Message)
    assert update.content == expected


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("1749416383", 1749416383),
        (1749416383, 1749416383),
        ("soon", None),
        (None, None),
        ("-1", None),
        (True, None),
        ("٣", None),
        ("9" * 5000, None),
        (1.5, None),
    ],
)
def test_the_send_time(timestamp: Any, seconds: int | None) -> None:
    update = read_one({"from_user_id": "US.A1", "timestamp": timestamp})
    assert isinstance(update, Message)
    assert update.sent_at == seconds


@pytest.mark.parametrize(
    ("system", "phone", "previous", "current"),
    [
        (
            {"type": "user_changed_user_id", "user_id": "US.N", "previous_user_id": "US.O"},
            None,
            Alias("whatsapp:US.O", strong=True),
            Alias("whatsapp:US.N", strong=True),
        ),
        (
            {
                "type": "user_changed_number",
                "wa_id": "15550002",
                "user_id": "US.N",
                "previous_user_id": "US.O",
            },
            "15550001",
            Alias("whatsapp:US.O", strong=True),
            Alias("whatsapp:US.N", strong=True),
        ),
        (
            {"type": "user_changed_number", "wa_id": "15550002"},
            "15550001",
            Alias("whatsapp:15550001", strong=False),
            Alias("whatsapp:15550002", strong=False),
        ),
    ],
)
def test_a_changed_id(system: dict[str, Any], phone: str | None, previous: Alias, current: Alias) -> None:
    assert read_one({"type": "system", "system": system, "from": phone}) == IdentityChange("wamid.1", previous, current)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ({"type": "customer_identity_changed"}, Ignored("system")),
        ({}, Ignored("system")),
        ({"type": "user_changed_user_id", "user_id": "US.N"}, Ignored("system_unlinked")),
        ({"type": "user_changed_user_id", "previous_user_id": "US.O"}, Ignored("system_unlinked")),
        ({"type": "user_changed_user_id", "user_id": "US.N", "previous_user_id": "US.N"}, Ignored("system")),
        # A permanent id never becomes a number, which may pass to another person.
        (
            {"type": "user_changed_number", "wa_id": "15550002", "previous_user_id": "US.O"},
            Ignored("system_unlinked"),
        ),
        # The body holds the person's own words, so it links no ids.
        (
            {"type": "user_changed_user_id", "user_id": "US.N", "body": "changed from US.O to US.N"},
            Ignored("system_unlinked"),
        ),
        (
            {"type": "user_changed_user_id", "user_id": "US.N", "previous_user_id": 5},
            Malformed("system_unreadable", "wamid.1"),
        ),
    ],
)
def test_a_notice_that_links_no_ids(system: dict[str, Any], expected: Update) -> None:
    assert read_one({"type": "system", "system": system}) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"id": "w", "status": "sent", "timestamp": "5", "biz_opaque_callback_data": "rp/1/1"},
            Status("w", "rp/1/1", "sent", "", 5, NUMBER),
        ),
        (
            {"id": "w", "status": "failed", "errors": [{"code": 131047}]},
            Status("w", "", "failed", "131047", None, NUMBER),
        ),
        ({"id": "w", "status": "failed", "errors": "?"}, Status("w", "", "failed", "", None, NUMBER)),
        ({"id": "w", "status": "read", "errors": [{"code": 1}]}, Status("w", "", "read", "", None, NUMBER)),
        ({"id": "w", "status": "warning"}, Ignored("status")),
        ({"id": "w"}, Malformed("status_missing")),
        ({"status": "read"}, Malformed("status_unnamed")),
    ],
)
def test_a_status(status: dict[str, Any], expected: Update) -> None:
    assert read(webhook(statuses=[status])) == [expected]


def test_other_fields_and_empty_values_are_skipped() -> None:
    change = {"field": "message_template_status_update", "value": {}}
    assert read({"entry": [{"changes": [change]}]}) == [Ignored("field")]
    assert read(webhook()) == [Malformed("value_odd")]
    assert read(webhook(errors=[{"code": 1}])) == [AccountError("1")]
    assert read(webhook(errors="?")) == [AccountError("")]
    assert read(webhook(messages=[], statuses=[])) == []


def nested(opening: str, depth: int) -> str:
    return opening * depth + "1" + {"[": "]", '{"a":': "}"}[opening] * depth


@pytest.mark.parametrize(
    ("written", "is_object"),
    [
        *((nested("[", depth), False) for depth in (254, 255, 300, 1023, 1024, 1025, 5000)),
        *((nested('{"a":', depth), depth <= 1024) for depth in (254, 255, 300, 1023, 1024, 1025, 5000)),
    ],
)
def test_a_deeply_nested_form_loses_no_message(written: str, *, is_object: bool) -> None:
    flow = {"type": "nfm_reply", "nfm_reply": {"response_json": written}}
    form = {"id": "wamid.f", "from_user_id": "US.A1", "type": "interactive", "interactive": flow}
    filled, good = read(read_json(json.dumps(webhook(messages=[form, GOOD])).encode()))
    expected = written if is_object else json.dumps({"response": written}, separators=(",", ":"))
    assert isinstance(filled, Message)
    assert filled.content == Choice("flow", "", "", expected)
    assert isinstance(good, Message)
    assert good.content == Text("good")


@pytest.mark.parametrize("depth", [240, 254, 300, 1000])
def test_a_deeply_nested_cart_loses_no_message(depth: int) -> None:
    cart = {"id": "wamid.o", "from_user_id": "US.A1", "type": "order", "order": {"product_items": [{"x": "deep"}]}}
    body = json.dumps(webhook(messages=[cart, GOOD])).replace('"deep"', nested("[", depth))
    ordered, good = read(read_json(body.encode()))
    assert isinstance(ordered, Message)
    assert (ordered.content == Unsupported("order", "unreadable")) == (depth >= 254)
    assert isinstance(good, Message)
    assert good.content == Text("good")


@pytest.mark.parametrize("reader", ["read_content", "read_identity_change", "read_recipient"])
def test_a_fault_of_a_reader_affects_one_item(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reader: str
) -> None:
    read_well = getattr(updates, reader)

    def faulty(item: Any, *more: Any) -> Any:
        if "bad" in item.values():
            raise RecursionError("private words")
        return read_well(item, *more)

    monkeypatch.setattr(updates, reader, faulty)
    messages = [
        GOOD | {"id": "wamid.1", "type": "bad"},
        {"id": "wamid.2", "type": "system", "system": {"type": "bad"}},
        GOOD,
    ]
    told = read(webhook(messages=messages, statuses=[{"id": "wamid.3", "status": "read", "recipient_id": "bad"}]))
    spoilt = {"read_content": "wamid.1", "read_identity_change": "wamid.2", "read_recipient": "wamid.3"}[reader]
    assert [update for update in told if isinstance(update, Malformed)] == [Malformed("fault", spoilt)]
    assert len(told) == 4
    assert "fault while reading an item of a webhook: RecursionError" in caplog.text
    assert "private words" not in caplog.text


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "id",
    "from",
    "from_user_id",
    "type",
    "text",
    "interactive",
    "context",
    "timestamp",
    "system",
    "errors",
    "group_id",
    "status",
    "biz_opaque_callback_data",
    "reaction",
    "edit",
    "button",
    "revoke",
)
KINDS = st.sampled_from(("text", "interactive", "reaction", "edit", "button", "revoke", "system", "failed", "read"))
IDS = st.sampled_from(("US.A1", "15550001", "US.ENT.P", "wamid.9"))
ITEMS = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON | KINDS | IDS | st.just({"body": "x"}), max_size=9)
GOOD = {"id": "wamid.good", "from_user_id": "US.GOOD", "type": "text", "text": {"body": "good"}}


@given(st.lists(ITEMS, max_size=4), st.lists(ITEMS, max_size=3), ITEMS, JSON)
@settings(max_examples=150, deadline=None)
def test_no_malformed_item_affects_a_valid_one(
    messages: list[Any], statuses: list[Any], contacts: Any, body: Any
) -> None:
    odd = webhook(messages=[*messages, GOOD, *messages], statuses=statuses, contacts=contacts)
    odd["entry"].insert(0, body)
    updates = read(read_json(json.dumps(odd).encode()))
    good = [update for update in updates if isinstance(update, Message) and update.id == "wamid.good"]
    assert [update.content for update in good] == [Text("good")]
    for update in updates:
        # Every parsed update can also be sent to the kernel service.
        if isinstance(update, Message):
            message_request(update).SerializeToString()
        if isinstance(update, Status):
            receipt(update).SerializeToString()


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_can_be_parsed(body: Any) -> None:
    assert all(not isinstance(update, Message) for update in read(body))


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_json_is_parsed_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\u1a \n', max_size=60).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_json_or_a_value_error(raw: bytes) -> None:
    try:
        read_json(raw)
    except ValueError:
        return


@pytest.mark.parametrize("escaped", [b'\\"', b'\\"[', b"\\"])
@pytest.mark.timeout(30)
def test_an_unterminated_string_is_rejected_quickly(escaped: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 1"):
        read_json(b'{"a":"' + escaped * (600_000 // len(escaped)))


def test_values_that_nest_too_deep_are_null_and_the_rest_is_kept() -> None:
    deep = b'{"a":[' + b'{"b":[' * 5000 + b'"]}"' + b"]}" * 5000 + b'],"c":"[\\"{","d":1}'
    value = read_json(deep)
    assert (value["c"], value["d"]) == ('["{', 1)
