"""Limits of what the service spends."""

from __future__ import annotations

from pydantic import Field

from kernel_service.settings.concern import Concern


class Budgets(Concern):
    """Budgets and rates."""

    kernel_daily_tokens: int = Field(0, ge=0)
    """The tokens of all people together per UTC day; at most one request exceeds them. 0: no limit."""
    kernel_daily_tokens_per_user: int = Field(0, ge=0)
    """The tokens of each person per UTC day; at most one request exceeds them. 0: no limit."""
    kernel_daily_replies_per_user: int = Field(500, ge=0)
    """Replies of all kinds to a person per UTC day, since the channel bills each. Replies without a model (wrong codes,
    "stopped", notices) get a fifth of them. The last reply says when service resumes. The effects of its buttons are
    still answered. 0: no limit."""
    kernel_tokens_per_audio_second: int = Field(20, ge=0)
    """The tokens counted for a second of a voice message, if the vendor reports seconds or nothing."""
    kernel_model_per_minute: int = Field(5000, ge=0)
    """Requests to the model per minute of all people together, round-robin across people. The nodes of one PostgreSQL
    share the number in equal parts. 0: no limit."""
    kernel_model_per_minute_per_user: int = Field(120, ge=0)
    """Requests to the model per minute of each person. 0: no limit."""
    kernel_model_tokens_per_minute: int = Field(0, ge=0)
    """Tokens to and from the model per minute of all people together, by the usual cost of requests; shared by the
    nodes. 0: no limit."""
    kernel_composio_per_minute: int = Field(1900, ge=0)
    """Requests to Composio per minute of all people together, shared by the nodes. Composio's small plan allows an
    organisation 2000. 0: no limit."""
    kernel_composio_per_minute_per_user: int = Field(200, ge=0)
    """Requests to Composio per minute of each person. 0: no limit."""
