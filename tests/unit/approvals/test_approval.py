"""The buttons of a question, and what counts as one of them."""

from __future__ import annotations

import pytest

from kernel_service.inbox.commands import button_in, command_of
from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind, Command
from kernel_service.ports.messages import Link, Reply
from kernel_service.ports.payloads import Choice, Payload, Text
from kernel_service.turns.replies.answer_replies import with_prompts


def question(*names: str, may_stand: bool = False) -> ApprovalPrompt:
    return ApprovalPrompt(
        tuple(Approval(name, "c", "act", {}) for name in names), "Please confirm:", may_stand=may_stand
    )


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (Payload(Choice("approval:ap_x-Y_1:yes")), Command.APPROVAL),
        (Payload(Choice("approval:ap_x-Y_1:always")), Command.APPROVAL),
        (Payload(Choice("approval:ap_1:no", "Refuse"), forwarded=True), Command.APPROVAL),
        (Payload(Choice("approval:ap_1:maybe")), Command.NONE),
        (Payload(Choice("approval::yes")), Command.NONE),
        (Payload(Choice(title="Approve")), Command.NONE),
        (Payload(Text("approval:ap_1:yes")), Command.NONE),
        (Payload(Text("yes")), Command.NONE),
    ],
)
def test_only_a_button_is_a_decision(payload: Payload, command: Command) -> None:
    assert command_of(payload, under_way=lambda: True) is command


def test_a_button_says_what_it_was_made_for() -> None:
    choices = question("ap_1", "ap_2").choices
    assert [button_in(Payload(Choice(choice.id))) for choice in choices] == [
        ApprovalButton("ap_1", ApprovalButtonKind.YES),
        ApprovalButton("ap_1", ApprovalButtonKind.NO),
    ]


@pytest.mark.parametrize(
    ("asked", "titles"),
    [
        (question("ap_1"), ["Approve", "Refuse"]),
        (question("ap_1", "ap_2"), ["Approve all", "Refuse all"]),
        (question("ap_1", may_stand=True), ["Approve", "Refuse", "Always approve"]),
        (question("ap_1", "ap_2", may_stand=True), ["Approve all", "Refuse all"]),
    ],
)
def test_the_buttons_fit_a_phone(asked: ApprovalPrompt, titles: list[str]) -> None:
    assert [choice.title for choice in asked.choices] == titles
    assert len(titles) <= 3
    assert all(len(title) <= 20 for title in titles)


def test_questions_go_with_the_answer_unless_it_has_a_button_already() -> None:
    one, two = question("ap_1"), question("ap_2")
    plain, linked = Reply("so"), Reply("so", link=Link("https://x", "Connect"))
    assert [len(reply.choices) for reply in with_prompts([plain], [one, two])] == [2, 2]
    assert [len(reply.choices) for reply in with_prompts([linked], [one])] == [0, 2]
    assert with_prompts([plain], []) == [plain]
    assert with_prompts([Reply("")], [one]) == [Reply("Please confirm:", choices=one.choices)]
