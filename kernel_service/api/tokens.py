"""Authenticates the bearer tokens of calls. Neither a token nor its hash is ever logged."""

from __future__ import annotations

import hmac
import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from kernel_service.errors import NotAllowed, Unauthenticated
from serving.one_line import LineLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kernel_service.errors import KernelError

log = logging.getLogger(__name__)

ADMIN = "*"
"""The holder of the admin token; every other holder is a channel's name."""
_ADMIN_SERVICE = "/kernel.v1.KernelAdminService/"


class Tokens:
    """Bearer tokens: several per channel (for rotation), one admin token (empty: no admin access)."""

    def __init__(self, channels: Mapping[str, str], admin: str) -> None:
        """`channels` maps each token to its channel."""
        self._holders = [(token.encode(), channel) for token, channel in channels.items()]
        if admin:
            self._holders.append((admin.encode(), ADMIN))

    def admit(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> str:
        """The caller of a method. Raises `Unauthenticated` TOKEN_MISSING or TOKEN_INVALID, and `NotAllowed`.

        `NotAllowed`: ADMIN_REQUIRED for a channel's token, CHANNEL_MISMATCH for the admin's.
        """
        holder = self._holder(next((value for key, value in metadata if key == "authorization"), None))
        if method.startswith(_ADMIN_SERVICE) and holder != ADMIN:
            raise NotAllowed("ADMIN_REQUIRED", "this call needs the admin token")
        if not method.startswith(_ADMIN_SERVICE) and holder == ADMIN:
            raise NotAllowed("CHANNEL_MISMATCH", "this call needs a channel's token")
        return holder

    def _holder(self, authorization: str | bytes | None) -> str:
        """The token's holder. Every token is compared, each in constant time."""
        if not authorization:
            raise Unauthenticated("TOKEN_MISSING", "send `authorization: Bearer <token>` with the call")
        given = authorization.encode() if isinstance(authorization, str) else authorization
        scheme, _, token = given.partition(b" ")
        matches = [name for known, name in self._holders if hmac.compare_digest(known, token.strip())]
        if scheme.lower() != b"bearer" or not matches:
            raise Unauthenticated(
                "TOKEN_INVALID",
                "this token is not known here; check KERNEL_CHANNEL_TOKENS, or an operator's KERNEL_ADMIN_TOKEN",
            )
        return matches[0]


class RefusedTokens:
    """Counts the calls with rejected tokens, by reason, and logs some of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock."""
        self.counts: Counter[str] = Counter()
        self._now = now
        self._lines: defaultdict[str, LineLimit] = defaultdict(LineLimit)

    def note(self, error: KernelError, method: str, peer: str) -> None:
        """`peer` in gRPC's form, `ipv4:10.0.0.7:51234`."""
        self.counts[error.reason] += 1
        dropped = self._lines[error.reason].admit(self._now())
        if dropped is not None:
            log.warning(
                "token refused reason=%s method=%s from=%s more_since_the_last_line=%d",
                error.reason,
                method.rpartition("/")[2],
                peer.rpartition(":")[0],
                dropped,
            )
