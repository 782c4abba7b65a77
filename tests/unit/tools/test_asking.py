"""Which of Composio's tools ask first: by its hints, and by a name that says that others get something."""

from __future__ import annotations

import pytest

from emulators.composio import tools
from kernel_service.tools.composio_client import _tool
from kernel_service.tools.developer_tools import tool
from kernel_service.turns.tools import Person  # noqa: TC001 - a tool reads its own hints


@pytest.mark.parametrize(
    ("slug", "hints", "asks"),
    [
        ("ASANA_CREATE_TASK", tools.CREATES, False),
        ("ASANA_COMPLETE_TASK", tools.UPDATES, False),
        ("ASANA_DELETE_TASK", tools.DESTROYS, True),
        ("NOTION_TIDY_UP", ("destructiveHint", "updateHint"), True),
        ("GMAIL_SEND_EMAIL", tools.CREATES, True),
        ("GMAIL_REPLY_TO_THREAD", tools.CREATES, True),
        ("GMAIL_CREATE_EMAIL_DRAFT", tools.CREATES, False),
        ("GMAIL_FETCH_MESSAGE_BY_THREAD_ID", tools.READS, False),
        ("SLACK_SENDS_A_MESSAGE", tools.CREATES, True),
        ("SLACK_CHAT_POST_MESSAGE", tools.CREATES, True),
        ("DISCORD_CREATE_MESSAGE", tools.CREATES, True),
        ("REDDIT_GET_POST", tools.READS, False),
        ("POSTHOG_CREATE_PROJECT", tools.CREATES, False),
        ("SENDGRID_CREATE_CONTACT", tools.CREATES, False),
        ("SOMETHING_WITHOUT_HINTS", (), False),
    ],
)
def test_by_hint_or_by_name(slug: str, hints: tuple[str, ...], *, asks: bool) -> None:
    assert _tool("some", {"slug": slug, "tags": list(hints)}).asks_first is asks


def test_a_developers_tool_says_it_itself() -> None:
    def wipe(_: Person) -> str:
        """Wipe."""
        return "done"

    assert [tool()(wipe).asks_first, tool(asks_first=True)(wipe).asks_first] == [False, True]
