"""The callers of the kernel service, and how much each may ask at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr, ValidationInfo, field_validator

from kernel_service import insecure
from kernel_service.people.identity import CHANNEL
from kernel_service.settings.concern import words
from kernel_service.settings.listening import Listening
from serving.ranges import Range
from serving.weak_secrets import SHORTEST


class Channels(Listening):
    """Channels and operators."""

    kernel_channel_tokens: SecretStr
    """The tokens of the channels, as `whatsapp=<token>,telegram=<token>`, each of 16 characters or more. A token is
    valid for its own channel only. Name a channel twice while you replace its token."""
    kernel_admin_token: SecretStr = SecretStr("")
    """The operators' token, which enables `KernelAdminService` and so `kernelctl`. Unset: the service is off."""
    kernel_channel_calls: Annotated[int, Range(1, 1_000_000)] = 2000
    """Concurrent calls of one channel at a node. The next one is told to retry (`CHANNEL_BUSY`)."""
    kernel_channel_pulls: Annotated[int, Range(1, 10_000)] = 64
    """Concurrent streams of `PullOutbox` and `ServeChannel` of one channel at a node; each gateway has one per node.
    The next one is told to retry (`CHANNEL_BUSY`)."""
    kernel_channel_uploads: Annotated[int, Range(1, 1000)] = 8
    """Concurrent uploads of one channel at a node. The others wait."""
    kernel_upload_idle_seconds: Annotated[float, Range(0.1, 3600)] = 15
    """An upload that receives nothing for this long ends, and leaves nothing."""

    @field_validator("kernel_channel_tokens")
    @classmethod
    def _are_tokens(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_channel_tokens(parse_tokens(value.get_secret_value()), info)
        return value

    @field_validator("kernel_admin_token")
    @classmethod
    def _is_admin_token(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        channel_tokens: SecretStr | None = info.data.get("kernel_channel_tokens")
        others = parse_tokens(channel_tokens.get_secret_value()) if channel_tokens else {}
        insecure.check_admin_token(value.get_secret_value(), others, info)
        return value

    def tokens(self) -> dict[str, str]:
        """Token → channel."""
        return parse_tokens(self.kernel_channel_tokens.get_secret_value())


def parse_tokens(setting: str) -> dict[str, str]:
    """`channel=token,channel=token` → token → channel. The text of a ValueError has no token in it."""
    tokens: dict[str, str] = {}
    for pair in words(setting):
        channel, _, token = pair.partition("=")
        # Other names have special meanings: `*` is the operator.
        if not CHANNEL.fullmatch(channel):
            raise ValueError("must be channel=token, several with commas, each channel of a-z, 0-9, `_` and `-`")
        if len(token) < SHORTEST:
            raise ValueError(f"must be channel=token, several with commas, each token of {SHORTEST} characters or more")
        if tokens.setdefault(token, channel) != channel:
            raise ValueError("one token stands for two channels; give each its own")
    if not tokens:
        raise ValueError("name at least one channel=token")
    return tokens
