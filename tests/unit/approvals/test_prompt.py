from __future__ import annotations

from typing import Any

import pytest

from kernel_service.approvals.approval import Approval
from kernel_service.approvals.prompt import MOST_SHOWN, MOST_VALUE, question
from kernel_service.kernels.commands import Command, Tap, command_of
from kernel_service.messages import Link, Reply
from kernel_service.turns.replies import with_questions


def shown(arguments: dict[str, Any]) -> str:
    return question(Approval("ap_1", "c1", "GMAIL_SEND_EMAIL", arguments, title="Gmail: Send email")).text


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({"to": "bob", "copies": ["a", 1], "html": False}, 'to: bob\ncopies: ["a",1]\nhtml: false'),
        ({"body": "one\nto: mallory"}, "body: one\n  to: mallory"),
        ({"body": "```\n*bold* [x](http://y)"}, "body: '''\n  *bold* [x](http://y)"),
        ({"a\nb": "x"}, "a\ufffdb: x"),
        ({"to": "bob\u202egro"}, "to: bob\ufffdgro"),
        ({"to": "bob\u2028x\x00"}, "to: bob\n  x\ufffd"),
        ({"who": "👩‍🔬"}, "who: 👩‍🔬"),
    ],
)
def test_each_argument_is_shown_as_it_is_and_none_as_another(arguments: dict[str, Any], lines: str) -> None:
    assert shown(arguments) == f"**Gmail: Send email** – shall I do exactly this?\n\n```\n{lines}\n```"


def test_without_arguments_and_title() -> None:
    assert question(Approval("ap_1", "c1", "delete_all", {})).text == "**Delete all** – shall I do exactly this?"


def test_what_is_too_long_says_how_much_is_left_out() -> None:
    assert shown({"body": "x" * (MOST_VALUE + 7)}).endswith("x… (7 more characters)\n```")
    many = shown({f"name{number}": "x" * 90 for number in range(100)})
    assert len(many) < MOST_SHOWN + 200
    assert "more characters)" in many


def test_questions_go_with_the_answer_unless_it_has_a_button_already() -> None:
    one, two = (Approval(f"ap_{n}", "c", "act", {}) for n in (1, 2))
    plain, linked = Reply("so"), Reply("so", link=Link("https://x", "Connect"))
    assert [len(reply.choices) for reply in with_questions([plain], [one, two])] == [2, 2]
    assert [len(reply.choices) for reply in with_questions([linked], [one])] == [0, 2]
    assert with_questions([plain], []) == [plain]
    assert with_questions([Reply("")], [one])[0].text.startswith("**Act**")


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ({"choice": {"id": "approval:ap_x-Y_1:yes"}}, Command.APPROVAL),
        ({"choice": {"id": "approval:ap_1:no", "title": "Refuse"}, "forwarded": True}, Command.APPROVAL),
        ({"choice": {"id": "approval:ap_1:maybe"}}, Command.NONE),
        ({"choice": {"id": "approval::yes"}}, Command.NONE),
        ({"choice": {"title": "Approve"}}, Command.NONE),
        ({"text": "approval:ap_1:yes"}, Command.NONE),
        ({"text": "yes"}, Command.NONE),
    ],
)
def test_only_a_button_is_a_decision(content: dict[str, Any], command: Command) -> None:
    assert command_of(content) is command


def test_a_button_says_what_it_was_made_for() -> None:
    assert [choice.id for choice in Approval("ap_1", "c", "act", {}).choices] == [
        Tap("ap_1", approved=True).choice_id,
        Tap("ap_1", approved=False).choice_id,
    ]
