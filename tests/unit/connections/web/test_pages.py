"""The connect pages: what others have named is text on them, never markup."""

from __future__ import annotations

from html import escape

import pytest

from kernel_service.connections.web import pages
from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptState
from kernel_service.ports.connections import Connection, ConnectionStatus

NAMED = "<i>'\"&"


def attempt(toolkit_name: str = "Asana") -> ConnectAttempt:
    connection = Connection("cn_1", "p_1", "asana", toolkit_name, "", ConnectionStatus.PENDING, "https://link", 0.0)
    return ConnectAttempt(connection, "chat", "", ConnectAttemptState.OPEN, 1.0, b"digest", code="BCDF-GHJK")


@pytest.mark.parametrize(
    "page",
    [
        pages.ask(attempt(NAMED), "chat"),
        pages.ask(attempt(), NAMED),
        pages.code(attempt(NAMED), "chat", ""),
        pages.code(attempt(), NAMED, ""),
        pages.code(attempt(), "chat", f"https://chat.example/{NAMED}"),
    ],
)
def test_names_from_outside_are_escaped(page: str) -> None:
    assert NAMED not in page
    assert escape(NAMED) in page


def test_the_chat_opens_with_the_code_typed_in() -> None:
    page = pages.code(attempt(), "chat", "https://chat.example/?a=1&text={text}")
    assert 'href="https://chat.example/?a=1&amp;text=Connect%20BCDF-GHJK"' in page
    assert "href" not in pages.code(attempt(), "chat", "").partition("<main")[2]


ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K{}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0 Mobile Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) {}Mobile/15E148"
)


@pytest.mark.parametrize(
    ("user_agent", "inside"),
    [
        (ANDROID.format("; wv"), True),
        (ANDROID.format(""), False),
        (IPHONE.format(""), True),
        (IPHONE.format("Version/19.0 ") + " Safari/604.1", False),
        (IPHONE.format("CriOS/140.0 ") + " Safari/604.1", False),
        (IPHONE.format("") + " Safari/604.1 [FBAN/FBIOS;FBAV/453.0]", True),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", False),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/19.0 Safari/605.1.15", False),
        ("WhatsApp/2.26 A", True),
        ("", False),
        ("\udcff<script>", False),
    ],
)
def test_a_page_inside_an_app_says_so_before_anything_is_begun(user_agent: str, *, inside: bool) -> None:
    assert pages.is_inside_an_app(user_agent) is inside
    assert ("open inside an app" in pages.ask(attempt(), "chat", user_agent)) is inside
