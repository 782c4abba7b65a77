"""Pagination of lists: the page size, and the opaque token of the next page."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

ROWS: Final = 100
MOST_ROWS: Final = 1000
_DIGEST_BYTES: Final = 6


class Page:
    """The page that a request asks for. `scope` names the list and its owner: tokens of another scope are rejected."""

    def __init__(self, size: int, token: str, *scope: str) -> None:
        """Raises `CallerError` FIELD_INVALID, which names `page_token`."""
        self.size = min(size or ROWS, MOST_ROWS)
        self._scope = scope
        self.after = self._opened(token) if token else ""
        """The key of the previous page's last row; empty: this is the first page."""

    def next_token(self, last: str) -> str:
        """The token of the page after `last`; empty if `last` is empty."""
        return urlsafe_b64encode(self._seal(last) + last.encode()).decode().rstrip("=") if last else ""

    def of(self, rows: Iterable[T], key: Callable[[T], str]) -> tuple[Sequence[T], str]:
        """This page of rows that are completely in memory, by their keys, and the token of the next page."""
        left = sorted((row for row in rows if key(row) > self.after), key=key)
        shown = left[: self.size]
        return shown, self.next_token(key(shown[-1]) if len(left) > self.size else "")

    def _opened(self, token: str) -> str:
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            after = raw[_DIGEST_BYTES:].decode()
        except ValueError:
            raise _refused() from None
        if raw[:_DIGEST_BYTES] != self._seal(after) or not after:
            raise _refused()
        return after

    def _seal(self, after: str) -> bytes:
        """Detects mistakes, not forgery: a page's start is no secret, and the owner is checked separately."""
        return hashlib.sha256("\0".join((*self._scope, after)).encode()).digest()[:_DIGEST_BYTES]


def _refused() -> CallerError:
    return CallerError(
        "FIELD_INVALID",
        "`page_token` is not from this list: send the previous page's `next_page_token`, or leave it empty",
        field="page_token",
    )
