"""The calls that a standing permission may cover, and the one that the person means when they revoke it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from emulators.composio.tools import CREATES, DESTROYS, READS, UPDATES
from kernel_service.approvals.policy import ApprovalPolicy, Approve
from kernel_service.approvals.standing import listed, meant
from kernel_service.composio.client import _tool
from kernel_service.ports.approvals import StandingPermission
from kernel_service.tools.connecting import DisconnectTool
from kernel_service.tools.toolbox import ConnectedTool
from tests.unit.turns.scene import FakeTool

if TYPE_CHECKING:
    from kernel_service.ports.tools import Tool

CARD = {"listId": "a1", "heading": "Call the bank"}


def connected(slug: str, tags: tuple[str, ...] = CREATES) -> Tool:
    described = _tool(slug.partition("_")[0].lower(), {"slug": slug, "tags": list(tags)})
    return ConnectedTool(cast("Any", None), cast("Any", None), described, [])


@pytest.mark.parametrize(("slug", "tags"), [("SMALLTOOL_CREATE_CARD", CREATES), ("SMALLTOOL_UPDATE_CARD", UPDATES)])
def test_a_plain_write_that_is_on_no_list_may_stand(slug: str, tags: tuple[str, ...]) -> None:
    policy = ApprovalPolicy()
    assert policy(connected(slug, tags), CARD, tainted=False)
    assert policy.may_stand(connected(slug, tags), CARD)


@pytest.mark.parametrize(
    ("slug", "tags"),
    [
        ("SMALLTOOL_DELETE_CARD", DESTROYS),
        ("SMALLTOOL_CREATE_CARD", ()),
        ("SMALLTOOL_CREATE_CARD", DESTROYS),
        ("SMALLTOOL_SEND_CARD", CREATES),
        ("SMALLTOOL_SHARE_CARD", UPDATES),
        ("SMALLTOOL_PAY_BILL", CREATES),
        ("SMALLTOOL_CREATE_WEBHOOK", CREATES),
        ("SMALLTOOL_INVITE_MEMBER", CREATES),
        ("GOOGLECALENDAR_UPDATE_EVENT", UPDATES),
        ("SMALLTOOL_LIST_CARDS", READS),
        # Words of no list, of toolkits of no list: a video, a status, an order reach others, or pay.
        ("YOUTUBE_UPLOAD_VIDEO", CREATES),
        ("MASTODON_CREATE_STATUS", CREATES),
        ("BLUESKY_CREATE_SKEET", CREATES),
        ("PASTEBIN_CREATE_PASTE", CREATES),
        ("BINANCE_CREATE_SWAP", CREATES),
        ("UBER_CREATE_RIDE", CREATES),
        ("AMAZON_ADD_TO_CART", UPDATES),
        ("HOMEASSISTANT_UNLOCK_DOOR", UPDATES),
        ("REDDIT_CREATE_SUBMISSION", CREATES),
    ],
)
def test_no_permission_covers_deleting_sharing_paying_or_reaching_others(slug: str, tags: tuple[str, ...]) -> None:
    assert not ApprovalPolicy().may_stand(connected(slug, tags), CARD)


def test_in_a_workspace_words_of_no_list_may_stand() -> None:
    assert ApprovalPolicy().may_stand(connected("ASANA_DUPLICATE_TASK"), {"name": "x", "strange": "y"})


@pytest.mark.parametrize(
    "arguments",
    [
        {**CARD, "repo": "x", "collection": "posts"},
        {**CARD, "assignee": "1209"},
        {**CARD, "email": "x"},
        {**CARD, "description": "for bob@example.org"},
        {**CARD, "description": "see https://evil.example/x"},
        {**CARD, "nested": {"deep": [{"role": "writer"}]}},
        {**CARD, "visibility": "public"},
        {**CARD, "call": "+49 170 1234567"},
        {**CARD, "raw": "x" * 30_000},
    ],
)
def test_no_permission_covers_a_call_that_names_another_party(arguments: dict[str, Any]) -> None:
    assert not ApprovalPolicy().may_stand(connected("SMALLTOOL_CREATE_CARD"), arguments)


def test_no_permission_covers_a_call_that_an_operator_or_a_developer_wants_to_ask_for() -> None:
    card = connected("SMALLTOOL_CREATE_CARD")
    for mode in (Approve.WRITES, Approve.ALL):
        assert not ApprovalPolicy(mode=mode).may_stand(card, CARD)
    assert not ApprovalPolicy(["SMALLTOOL_*"]).may_stand(card, CARD)
    own = FakeTool("file_it", read_only=False)
    assert ApprovalPolicy().may_stand(own, CARD)
    own.asks_first = True
    assert not ApprovalPolicy().may_stand(own, CARD)
    assert not ApprovalPolicy().may_stand(DisconnectTool(cast("Any", None)), {"toolkit": "asana"})


TASKS, CARDS, NOTES = (
    StandingPermission(tool, "cn_1") for tool in ("ASANA_UPDATE_TASK", "SMALLTOOL_CREATE_CARD", "add_note")
)


@pytest.mark.parametrize(
    ("said", "which"),
    [
        ("", [TASKS, CARDS, NOTES]),
        ("before everything", [TASKS, CARDS, NOTES]),
        ("for updating asana tasks", [TASKS]),
        ("about tasks", [TASKS]),
        ("2", [CARDS]),
        ("about 3", [NOTES]),
        ("4", []),
        ("0", []),
        ("tomorrow", []),
        ("about tasks tomorrow", []),
        ("when you create cards", [CARDS]),
    ],
)
def test_the_permission_that_a_phrase_revokes(said: str, which: list[StandingPermission]) -> None:
    assert meant([TASKS, CARDS, NOTES], said) == which


def test_permissions_are_listed_by_number() -> None:
    told = listed([TASKS, CARDS])
    assert "1. Asana update task\n2. Smalltool create card" in told
    assert '"ask me again"' in told
    assert "without asking" in listed([])
