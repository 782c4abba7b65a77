"""The kernel service accepts every webhook content: a value that is too long is truncated, or the message is answered
as unsupported.
"""

from typing import Any

import pytest
from kernel.v1 import messages_pb2

from whatsapp_gateway.bounds import bound_of, cut
from whatsapp_gateway.kernel.messages import message_request
from whatsapp_gateway.model import updates as say

LONG = "é" * 40_000
SENDER = say.Sender("whatsapp:US.1", (say.Alias("whatsapp:US.1", strong=True),))


def asked(content: Any, **more: Any) -> messages_pb2.HandleMessageRequest:
    request = message_request(say.Message("1", "wamid.1", SENDER, content, **more))
    assert cut(request), "the kernel service would refuse it"
    assert request.ByteSize() < 512 * 1024
    return request


@pytest.mark.parametrize(
    "content",
    [
        say.Text(LONG),
        say.Media("image", "1", "image/png", caption=LONG),
        say.Edit("wamid.0", LONG),
        say.Edit("w" * 300, "hello"),
        say.Revoke("w" * 300),
        say.Reaction("w" * 300, "👍"),
        say.Choice("i" * 2000, "Yes"),
        say.Choice("flow", "", form_json='{"a": "' + LONG + '"}'),
    ],
)
def test_content_that_cannot_be_truncated_is_answered_as_unsupported(content: Any) -> None:
    assert asked(content).payload.unsupported.kind == "text_too_long"


@pytest.mark.parametrize(
    "content",
    [
        say.Location(1.0, 2.0, LONG, LONG),
        say.Contacts(tuple(say.Contact("é" * 500, ("1" * 100,) * 30, ("a" * 400,) * 30, "é" * 500) for _ in range(60))),
        say.Choice("yes", LONG, LONG),
        say.Reaction("wamid.0", LONG),
        say.Unsupported("k" * 100, LONG),
        say.Media("image", "1", "image/" + "p" * 300),
        say.Text("é" * 32_768),
    ],
)
def test_readable_text_is_truncated(content: Any) -> None:
    assert asked(content).payload.unsupported.kind != "text_too_long"


def test_cards_beyond_the_bound_are_dropped_and_the_first_are_complete() -> None:
    cards = tuple(say.Contact(f"Name {number}", ("+1",)) for number in range(300))
    contacts = asked(say.Contacts(cards)).payload.contacts.contacts
    assert [(one.name, list(one.phones)) for one in contacts] == [(f"Name {number}", ["+1"]) for number in range(50)]


def test_an_invalid_quote_is_dropped_and_the_message_stays() -> None:
    payload = asked(say.Text("hello"), quoted_id="w" * 300).payload
    assert (payload.text, payload.quoted_message_id) == ("hello", "")


def test_an_advertisements_text_is_truncated() -> None:
    referral = asked(say.Text("hello"), referral=say.Referral(LONG, LONG, LONG, LONG)).payload.referral
    limits = [bound_of(field).bytes for field in messages_pb2.Referral.DESCRIPTOR.fields]
    assert [len(part.encode()) for part in (referral.kind, referral.headline, referral.body, referral.url)] == limits
