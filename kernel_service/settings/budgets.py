"""Limits of what the service spends."""

from __future__ import annotations

from typing import Annotated

from kernel_service.settings.concern import Concern
from serving.ranges import Range


class Budgets(Concern):
    """Budgets and rates."""

    kernel_daily_tokens: Annotated[int, Range(0, 10**12)] = 0
    """The tokens of all people together per UTC day; at most one request exceeds them. 0: no limit."""
    kernel_daily_tokens_per_user: Annotated[int, Range(0, 10**12)] = 0
    """The tokens of each person per UTC day; at most one request exceeds them. 0: no limit."""
    kernel_daily_replies_per_user: Annotated[int, Range(0, 1_000_000)] = 500
    """Replies of all kinds to a person per UTC day, since the channel bills each. Replies without a model (wrong codes,
    "stopped", notices) get a fifth of them. The last reply says when service resumes. The effects of its buttons are
    still answered. 0: no limit."""
    kernel_tokens_per_audio_second: Annotated[int, Range(0, 10_000)] = 20
    """The tokens counted for a second of a voice message, if the vendor reports seconds or nothing."""
    kernel_model_per_minute: Annotated[int, Range(0, 1_000_000)] = 5000
    """Requests to the model per minute of all people together, round-robin across people. The nodes of one PostgreSQL
    share the number in equal parts. 0: no limit."""
    kernel_model_per_minute_per_user: Annotated[int, Range(0, 1_000_000)] = 120
    """Requests to the model per minute of each person. 0: no limit."""
    kernel_model_tokens_per_minute: Annotated[int, Range(0, 10**12)] = 0
    """Tokens to and from the model per minute of all people together, by the usual cost of requests; shared by the
    nodes. 0: no limit."""
    kernel_composio_per_minute: Annotated[int, Range(0, 1_000_000)] = 1900
    """Requests to Composio per minute of all people together, shared by the nodes. Composio's small plan allows an
    organisation 2000. 0: no limit."""
    kernel_composio_per_minute_per_user: Annotated[int, Range(0, 1_000_000)] = 200
    """Requests to Composio per minute of each person. 0: no limit."""
