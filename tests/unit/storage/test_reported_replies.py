"""A reported reply is made of the columns of its query by their places."""

from __future__ import annotations

from dataclasses import fields

from kernel_service.storage.outbox.reported_replies import REPLIES, ReportedReply


def test_the_first_fields_are_the_columns_in_their_order() -> None:
    columns = REPLIES.selected_columns.keys()
    assert [field.name for field in fields(ReportedReply)][: len(columns)] == columns
