from __future__ import annotations

import pytest

from kernel_service.models.person_said import MOST_QUOTED, in_words
from kernel_service.ports.model import Quote, UserInput
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

NOTE = Audio("audio/ogg", voice=True, media_id="m_1", transcript="Call Eve")
BILL = Document("application/pdf", "bill.pdf", media_id="m_1")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (Payload(Text("Hello\nthere")), "Hello\nthere"),
        (Payload(Choice("c1", "Yes", "do it")), "Yes\ndo it"),
        (Payload(Choice("c1")), "c1"),
        (Payload(Choice("f", "Form", form_json='{"a": 1}')), 'Form\n{"a": 1}'),
        (
            Payload(Image("image/png"), caption="My cat"),
            "[The person sent an image, which cannot be opened.]\nMy cat",
        ),
        (Payload(BILL), "[The person sent a file named bill.pdf.]"),
        (Payload(NOTE), "(voice) Call Eve"),
        (
            Payload(Audio("audio/ogg", voice=True, media_id="m_1", transcript="")),
            "(voice) [nothing can be heard in it]",
        ),
        (
            Payload(Document("audio/mpeg", "a.mp3", media_id="m_1", transcript="La la")),
            "[The person sent a file named a.mp3.]\nIt says: La la",
        ),
        (Payload(Reaction("m", "👍")), "[The person reacted to a message with 👍]"),
        (Payload(Reaction("m")), "[The person removed a reaction.]"),
        (Payload(Edit("m", "Hi Bob")), "[The person changed an earlier message; it now reads:]\nHi Bob"),
        (Payload(Revoke("m")), "[The person took an earlier message back. Act as if it had not been sent.]"),
        (
            Payload(Location(1.5, 2.0, "Home")),
            "[The person sent a place: Home, latitude and longitude 1.5, 2.0]",
        ),
        (
            Payload(Contacts((Contact("Eve", ("+1",), ("e@x",)), Contact("Bob")))),
            "[The person sent address cards:]\nEve, +1, e@x\nBob",
        ),
        (Payload(Unsupported("poll", "x")), "[The person sent something that cannot be shown here.]"),
        (
            Payload(Text("Win!"), forwarded=True),
            "[Forwarded by the person; another person wrote the following.]\nWin!",
        ),
        (
            Payload(Text("More"), referral=Referral("ad", "Chat", url="https://a.b")),
            "[The person came by this ad: Chat, https://a.b]\nMore",
        ),
        (Payload(Text("More"), referral=Referral()), "More"),
        (Payload(Text("Yes"), quoted_message_id="m"), "[This answers an earlier message of the chat.]\nYes"),
    ],
)
def test_in_words(payload: Payload, words: str) -> None:
    assert in_words(UserInput(payload)) == words


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        (Quote(Payload(Text("Shall I?")), ours=True), "[This answers what you said before: “Shall I?”]\nYes"),
        (
            Quote(Payload(Text("Shall I?")), ours=True, time="Monday"),
            "[This answers what you said on Monday: “Shall I?”]\nYes",
        ),
        (
            Quote(Payload(BILL, caption="Pay it", quoted_message_id="m1"), ours=False),
            "[This answers what the person said before: “[The person sent a file named bill.pdf.]\nPay it”]\nYes",
        ),
    ],
)
def test_a_quotation_stands_before_the_words(quote: Quote, words: str) -> None:
    assert in_words(UserInput(Payload(Text("Yes"), quoted_message_id="m"), quote)) == words


def test_a_long_quotation_is_cut() -> None:
    quote = Quote(Payload(Text("x" * 60_000)), ours=True)
    words = in_words(UserInput(Payload(Text("Yes"), quoted_message_id="m"), quote))
    assert words == f"[This answers what you said before: “{'x' * MOST_QUOTED} …”]\nYes"
