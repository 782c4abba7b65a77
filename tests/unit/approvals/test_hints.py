from __future__ import annotations

from typing import Any

import pytest

from emulators.composio.tools import CREATES, DESTROYS, READS, UPDATES
from kernel_service.approvals.hints import hints_of
from kernel_service.composio.client import _tool
from kernel_service.ports.hints import Effect


@pytest.mark.parametrize(
    ("tags", "effect"),
    [
        (READS, Effect.READS),
        (CREATES, Effect.CREATES),
        (UPDATES, Effect.UPDATES),
        (DESTROYS, Effect.UNKNOWN),
        ((*CREATES, "updateHint"), Effect.UPDATES),
        ((*UPDATES, "destructiveHint"), Effect.UNKNOWN),
        ((*READS, "updateHint"), Effect.UNKNOWN),
        (("readonlyhint",), Effect.UNKNOWN),
        ((), Effect.UNKNOWN),
    ],
)
def test_the_effect_of_tags(tags: tuple[str, ...], effect: Effect) -> None:
    assert hints_of("asana", "ASANA_TASK", tags).effect is effect


@pytest.mark.parametrize(
    ("toolkit", "name", "effect"),
    [
        ("gmail", "GMAIL_SEND_EMAIL", Effect.UNKNOWN),
        ("gmail", "GMAIL_GMAIL_SENDS_EMAIL", Effect.UNKNOWN),
        ("one_drive", "ONEDRIVE_SHARE_ITEM", Effect.UNKNOWN),
        ("stripe", "STRIPE_refundCharge", Effect.UNKNOWN),
        ("reddit", "REDDIT_GET_POST", Effect.READS),
        ("posthog", "POSTHOG_LIST_PROJECTS", Effect.READS),
        ("share_point", "SHARE_POINT_GET_ITEM", Effect.READS),
        ("gmail", "GMAIL_LIST_SEND_AS", Effect.READS),
        ("github", "GITHUB_CHECK_IF_A_REPOSITORY_IS_STARRED", Effect.READS),
    ],
)
def test_a_name_may_contradict_that_a_tool_only_reads_and_never_says_so(
    toolkit: str, name: str, effect: Effect
) -> None:
    """A call that only reads is made again after a crash, so that more than a question hangs on it."""
    assert hints_of(toolkit, name, READS).effect is effect
    assert hints_of(toolkit, name, ()).effect is Effect.UNKNOWN


@pytest.mark.parametrize("tags", [None, "readOnlyHint", {"readOnlyHint": True}, [["readOnlyHint"]], [7, None]])
def test_tags_that_are_no_list_of_words_tell_nothing(tags: Any) -> None:
    assert _tool("asana", {"slug": "ASANA_LIST_TASKS", "tags": tags}).hints.effect is Effect.UNKNOWN
