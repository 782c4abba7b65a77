"""The door's pages: what others have named is text on them, never markup."""

from __future__ import annotations

from html import escape

import pytest

from kernel_service.connect import pages
from kernel_service.connect.attempt import Attempt, State
from kernel_service.tools.connections import Connection, ConnectionStatus

NAMED = "<i>'\"&"


def attempt(toolkit_name: str = "Asana") -> Attempt:
    connection = Connection("cn_1", "p_1", "asana", toolkit_name, "", ConnectionStatus.PENDING, "https://link", 0.0)
    return Attempt(connection, "chat", "", State.OPEN, 1.0, b"digest", code="BCDF-GHJK")


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
def test_what_others_have_named_is_text(page: str) -> None:
    assert NAMED not in page
    assert escape(NAMED) in page


def test_the_chat_opens_with_the_code_typed_in() -> None:
    page = pages.code(attempt(), "chat", "https://chat.example/?a=1&text={text}")
    assert 'href="https://chat.example/?a=1&amp;text=Connect%20BCDF-GHJK"' in page
    assert "href" not in pages.code(attempt(), "chat", "").partition("<main")[2]
