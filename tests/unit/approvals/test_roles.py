"""Recipients, senders and searches are distinguished by the names of the arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from kernel_service import texts
from kernel_service.approvals.leaves import Rank, leaves_of
from kernel_service.approvals.policy import ApprovalPolicy
from kernel_service.approvals.prompt import shown
from kernel_service.approvals.roles import Role, role_of
from kernel_service.ports.approvals import Approval, Reason
from kernel_service.ports.tools import Person  # noqa: TC001 - a tool reads its types
from kernel_service.tools.developer_tools import tool
from kernel_service.tools.triggers import CreateTriggerTool, DeleteTriggerTool

if TYPE_CHECKING:
    from kernel_service.ports.tools import Tool

BANK = "service@bank.example"


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("to", Role.PARTY),
        ("recipient_email", Role.PARTY),
        ("attendees.email", Role.PARTY),
        ("reply_to", Role.PARTY),
        ("query", Role.SEARCH),
        ("config.query", Role.SEARCH),
        ("searchQuery", Role.SEARCH),
        ("ＱＵＥＲＹ", Role.SEARCH),
        ("q", Role.SEARCH),
        ("email_filter", Role.DOUBTFUL),
        ("criteria.from", Role.SEARCH),
        ("criteria.to", Role.SEARCH),
        ("filter.action.forward", Role.PARTY),
        ("filter.forwardingAddress", Role.PARTY),
        ("filter.notify.email", Role.PARTY),
        ("criteria.webhook", Role.PARTY),
        ("query.to", Role.PARTY),
        ("recipients.query", Role.DOUBTFUL),
        ("recipient_filter", Role.DOUBTFUL),
        ("recipients.filter.department", Role.PARTY),
        ("from", Role.SENDER),
        ("from_email", Role.SENDER),
        ("sender.name", Role.OTHER),
        ("from_account", Role.PARTY),
        ("recipients.from", Role.DOUBTFUL),
        ("from_date", Role.OTHER),
        ("note", Role.OTHER),
        ("qu\u0435ry", Role.OTHER),
    ],
)
def test_an_argument_has_the_role_that_its_names_say(path: str, role: Role) -> None:
    assert role_of(path.split(".")) is role


def test_recipients_come_before_the_sender_and_what_is_looked_for() -> None:
    leaves = leaves_of({"from": "me@x.org", "query": f"from:{BANK}", "note": "a@x.org", "to": "bob@x.org"})
    assert [leaf.path for leaf in leaves] == ["note", "to", "from", "query"]
    assert [leaf.rank for leaf in leaves] == [Rank.PARTY, Rank.PARTY, Rank.ADDRESS, Rank.ADDRESS]
    assert all(leaf.essential for leaf in leaves)


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        ({"query": "to:bob@example.org"}, True),
        ({"criteria": {"to": "bob@example.org"}}, True),
        ({"from": "bob@example.org"}, True),
        ({"recipient_filter": "everyone here"}, True),
        ({"recipient_filter": "everyone here", "to": "bob@example.org"}, True),
        ({"query": "to:eve@example.org", "to": "bob@example.org"}, False),
    ],
)
def test_only_a_recipient_shows_whom_a_call_reaches(arguments: dict[str, Any], is_told: bool) -> None:
    question = shown([Approval("ap_1", "c1", "MAIL_FORWARD", arguments)])
    assert question is not None
    assert (texts.approvals.UNNAMED in question.text) is is_told


def test_letters_that_look_like_others_are_named_in_a_search() -> None:
    question = shown([Approval("ap_1", "c1", "create_trigger", {"config": {"query": "from:b\u0430nk@bank.example"}})])
    assert question is not None
    assert "b\\u0430nk" in question.text


@tool()
def tidy_up(context: Person, query: str) -> str:
    """Put what is found into the archive."""
    raise NotImplementedError


@pytest.mark.parametrize(
    ("each", "arguments", "reason"),
    [
        (
            CreateTriggerTool(cast("Any", None), cast("Any", None), (), {}),
            {"config": {"query": f"from:{BANK}"}},
            Reason.OUTSIDE,
        ),
        (DeleteTriggerTool(cast("Any", None)), {"id": "tg_1"}, Reason.EFFECT_OUTSIDE),
        (tidy_up, {"query": f"from:{BANK}"}, Reason.OUTSIDE),
        (tidy_up, {"query": "x", "to": BANK}, Reason.EFFECT_OUTSIDE),
    ],
)
def test_a_search_is_no_reason_to_say_that_others_are_reached(
    each: Tool, arguments: dict[str, Any], reason: Reason
) -> None:
    assert ApprovalPolicy().reason(each, arguments, tainted=True) is reason


def test_an_address_in_a_search_still_asks() -> None:
    assert ApprovalPolicy()(tidy_up, {"query": f"from:{BANK}"}, tainted=False)


def test_waiting_for_mails_of_an_address_is_shown_as_a_search() -> None:
    asked = Approval("ap_1", "c1", "create_trigger", {"config": {"query": f"from:{BANK}"}, "request": "Tell me"})
    question = shown([asked])
    assert question is not None
    assert question.text == (
        f"Please confirm: **Create trigger**\n\n```\nconfig.query: from:{BANK}\nrequest: Tell me\n```"
    )
