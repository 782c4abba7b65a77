"""Calls that reach people whom no argument names: the question says that it cannot show them."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_service import texts
from kernel_service.approvals.prompt import shown
from kernel_service.ports.approvals import Approval


def asked(tool: str, arguments: dict[str, Any], titles: dict[str, str] | None = None) -> str:
    question = shown([Approval("ap_1", "c1", tool, arguments, titles=titles or {})])
    assert question is not None
    return question.text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("GMAIL_SEND_DRAFT", {"draft_id": "r-123456789"}),
        ("GMAIL_SEND_DRAFT", {"draft_id": "r-123456789", "user_id": "me"}),
        ("GMAIL_SEND_DRAFT", {"draft_id": "r-1", "user_id": "anna@example.org"}),
        ("GMAIL_SEND_RAW_MESSAGE", {"raw": "VG86IGV2ZUBldmlsLmV4YW1wbGUN/w=="}),
        ("OUTLOOK_REPLY_ALL", {"message_id": "AAMk", "comment": "ok"}),
        ("OUTLOOK_REPLY_ALL", {"message_id": "AAMk", "cc": "bob@example.org"}),
        ("GMAIL_REPLY_TO_THREAD", {"thread_id": "18f", "message_body": "fine, bob@example.org"}),
        ("MAIL_REPLY", {"messageId": "18f", "replyAll": True, "to": "bob@example.org"}),
        ("SENDGRID_SEND_TEMPLATE", {"template_id": "d-1", "to": "bob@example.org"}),
        ("MAILCHIMP_SEND_CAMPAIGN", {"campaign_id": "42"}),
        ("MAIL_SEND_SCHEDULED", {"id": "7"}),
        ("BREVO_SEND_MESSAGE", {"list_ids": [3], "text": "x", "sender": "anna@example.org"}),
        ("SLACK_SEND_MESSAGE", {"channel": "C012345", "text": "hi"}),
        ("TELEGRAM_SEND_MESSAGE", {"chat_id": "me", "text": "hi"}),
        ("TELEGRAM_SEND_MESSAGE", {"chat_id": 1234567890, "text": "hi"}),
        ("BREVO_SEND_MESSAGE", {"list_id": "1234567890", "to": "bob@example.org"}),
        ("GOOGLEDRIVE_SHARE_FILE", {"file_id": "1a", "role": "reader"}),
        ("GITHUB_TRIGGER_WORKFLOW", {"workflow_id": "9"}),
        ("BANK_TRANSFER", {"template": "rent", "amount": 900}),
        ("TWITTER_POST", {"text": "hi"}),
        ("send_it", {}),
    ],
)
def test_a_question_says_that_people_without_a_name_are_not_shown(tool: str, arguments: dict[str, Any]) -> None:
    assert texts.approvals.UNNAMED in asked(tool, arguments)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("GMAIL_SEND_EMAIL", {"recipient_email": "bob@example.org", "body": "hi"}),
        ("GMAIL_SEND_EMAIL", {"to": ["bob@example.org"], "extra_recipients": [], "body": "hi"}),
        ("GMAIL_REPLY_TO_THREAD", {"thread_id": "18f", "recipient_email": "bob@example.org"}),
        ("MAIL_REPLY", {"messageId": "18f", "replyAll": False, "to": "bob@example.org"}),
        ("MAIL_SEND", {"to_list": ["bob@example.org"], "scheduled_at": "2026-12-01T10:00:00Z"}),
        ("CALENDAR_SEND_INVITATION", {"guests": ["bob@example.org"], "all_day": True}),
        ("SLACK_SEND_MESSAGE", {"channel": "#general", "text": "hi"}),
        ("SLACK_SEND_MESSAGE", {"channel": "general", "text": "hi"}),
        ("WHATSAPP_SEND_MESSAGE", {"to_number": "4917012345678", "text": "hi"}),
        ("GOOGLEDRIVE_SHARE_FILE", {"file_id": "1a", "role": "reader", "type": "anyone"}),
        ("ASANA_CREATE_TASK", {"name": "send the draft"}),
        ("ASANA_DELETE_TASK", {"task_gid": "12"}),
        ("GMAIL_DELETE_MESSAGE", {"message_id": "12"}),
        ("GMAIL_CREATE_EMAIL_DRAFT", {"body": "hi"}),
    ],
)
def test_a_question_adds_nothing_if_everybody_is_named(tool: str, arguments: dict[str, Any]) -> None:
    assert texts.approvals.UNNAMED not in asked(tool, arguments)


def test_a_title_that_was_looked_up_counts_as_a_name() -> None:
    assert texts.approvals.UNNAMED not in asked("SLACK_SEND_MESSAGE", {"channel_id": "C012345"}, {"C012345": "Family"})


def test_each_call_of_several_says_it_for_itself() -> None:
    drafts = [Approval(f"ap_{number}", "c", "MAIL_SEND_DRAFT", {"id": number}) for number in (7, 8)]
    question = shown([*drafts, Approval("ap_9", "c", "MAIL_SEND", {"to": "bob@example.org"})])
    assert question is not None
    assert question.text.count(texts.approvals.UNNAMED) == 2
