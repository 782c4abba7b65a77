"""The people who may write, and how much of them is kept."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import field_validator

from kernel_service.ports.allow_list import AllowList
from kernel_service.ports.weak_ids import DEFAULT_DAYS
from kernel_service.settings.concern import Concern, words
from serving.ranges import Range

_PATTERN: Final = re.compile(r"[a-z0-9_*?\[\]!-]+:\S.*|(?:[a-z?\[][a-z0-9_*?\[\]!-]*)?\*\S*")
"""Of user ids, which begin with the name of a channel and a colon. Others, as a phone number alone, match no person."""


class People(Concern):
    """People and their data."""

    kernel_allowed_users: str = ""
    """Patterns of the user ids that are served, with commas, as `whatsapp:US.*`. Others may not write, and nothing that
    they asked for earlier, as a reminder, reaches them while they are not on it. Unset: all."""
    kernel_weak_id_days: Annotated[float, Range(1, 36_500)] = DEFAULT_DAYS
    """After this many days without a message a phone number alone identifies no known person: its next writer is a new
    person, without the former owner's history or accounts. Carriers reassign numbers after 45 to 90 days."""
    kernel_history_days: Annotated[int, Range(0, 36_500)] = 0
    """How long conversations are kept, in whole UTC days. The oldest turns are deleted first. 0: always."""
    kernel_history_mb_per_user: Annotated[float, Range(0.01, 1_000_000, or_zero=True)] = 0
    """How much of a person's conversation is kept, in MiB. The oldest turns are deleted first. 0: all."""
    kernel_inactive_days: Annotated[int, Range(30, 36_500, or_zero=True)] = 0
    """After this many days (at least 30) without a message a person is deleted. A person with a connected account or
    unfinished work loses only the conversation. 0: never."""
    kernel_media_mb: Annotated[float, Range(1, 10**9)] = 1024
    """The maximum of all people's files that are stored at a time, in MiB. A file is deleted when its message has been
    answered. Without room the newest files of strangers are deleted first."""
    kernel_media_mb_per_user: Annotated[float, Range(1, 10**9)] = 64
    """The maximum of one person's files that are stored at a time, in MiB."""

    @field_validator("kernel_allowed_users")
    @classmethod
    def _matches_ids(cls, value: str) -> str:
        patterns = words(value)
        if value and not (patterns and all(_PATTERN.fullmatch(each) for each in patterns)):
            raise ValueError("must be patterns of channel:id with commas, as whatsapp:US.*,telegram:*")
        return value

    def allowed(self) -> AllowList:
        """The people who are served."""
        return AllowList(tuple(words(self.kernel_allowed_users)))
