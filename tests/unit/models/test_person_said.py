from __future__ import annotations

from typing import Any

import pytest

from kernel_service.models.person_said import MOST_QUOTED, in_words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"text": "Hello\nthere"}, "Hello\nthere"),
        ({"choice": {"id": "c1", "title": "Yes", "description": "do it"}}, "Yes\ndo it"),
        ({"choice": {"id": "c1"}}, "c1"),
        ({"choice": {"id": "f", "title": "Form", "form_json": '{"a": 1}'}}, 'Form\n{"a": 1}'),
        (
            {"image": {"mime_type": "image/png"}, "caption": "My cat"},
            "[The person sent an image, which cannot be opened.]\nMy cat",
        ),
        (
            {"document": {"mime_type": "application/pdf", "filename": "bill.pdf", "media_id": "m_1"}},
            "[The person sent a file named bill.pdf.]",
        ),
        (
            {"audio": {"mime_type": "audio/ogg", "media_id": "m_1", "voice": True, "transcript": "Call Eve"}},
            "(voice) Call Eve",
        ),
        (
            {"audio": {"mime_type": "audio/ogg", "media_id": "m_1", "voice": True, "transcript": ""}},
            "(voice) [nothing can be heard in it]",
        ),
        (
            {"document": {"mime_type": "audio/mpeg", "filename": "a.mp3", "media_id": "m_1", "transcript": "La la"}},
            "[The person sent a file named a.mp3.]\nIt says: La la",
        ),
        ({"reaction": {"message_id": "m", "emoji": "👍"}}, "[The person reacted to a message with 👍]"),
        ({"reaction": {"message_id": "m"}}, "[The person took a reaction back.]"),
        (
            {"edit": {"message_id": "m", "text": "Hi Bob"}},
            "[The person changed an earlier message; it now reads:]\nHi Bob",
        ),
        (
            {"revoke": {"message_id": "m"}},
            "[The person took an earlier message back. Act as if it had not been sent.]",
        ),
        (
            {"location": {"latitude": 1.5, "longitude": 2, "name": "Home"}},
            "[The person sent a place: Home, latitude and longitude 1.5, 2]",
        ),
        (
            {"contacts": {"contacts": [{"name": "Eve", "phones": ["+1"], "emails": ["e@x"]}]}},
            "[The person sent address cards:]\nEve, +1, e@x",
        ),
        ({"unsupported": {"kind": "poll", "detail": "x"}}, "[The person sent something that cannot be shown here.]"),
        ({"hologram": {}}, "[The person sent something that cannot be shown here.]"),
        (
            {"text": "Win!", "forwarded": True},
            "[Passed on by the person; somebody else wrote what follows.]\nWin!",
        ),
        (
            {"text": "More", "referral": {"kind": "ad", "headline": "Chat", "url": "https://a.b"}},
            "[The person came by this ad: Chat, https://a.b]\nMore",
        ),
        ({"text": "Yes", "quoted_message_id": "m"}, "[This answers an earlier message of the chat.]\nYes"),
        (
            {"text": "Yes", "quoted_message_id": "m", "quoted": {"content": {"text": "Shall I?"}, "ours": True}},
            "[This answers what you said before: “Shall I?”]\nYes",
        ),
        (
            {
                "text": "And this?",
                "quoted_message_id": "m2",
                "quoted": {
                    "content": {
                        "document": {"filename": "bill.pdf", "media_id": "m_1"},
                        "caption": "Pay it",
                        "quoted_message_id": "m1",
                    },
                    "ours": False,
                },
            },
            "[This answers what the person said before: “[The person sent a file named bill.pdf.]\nPay it”]\nAnd this?",
        ),
    ],
)  # fmt: skip
def test_in_words(content: dict[str, Any], words: str) -> None:
    assert in_words(content) == words


def test_a_long_quotation_is_cut() -> None:
    quoted = {"content": {"text": "x" * 60_000}, "ours": True}
    words = in_words({"text": "Yes", "quoted_message_id": "m", "quoted": quoted})
    assert words == f"[This answers what you said before: “{'x' * MOST_QUOTED} …”]\nYes"
