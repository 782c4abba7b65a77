"""Passes a text on to a listener piece by piece, as text that can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.storable import storable_text

if TYPE_CHECKING:
    from kernel_service.ports.model import TextListener

_HIGH_SURROGATES: Final = ("\ud800", "\udbff")
"""JSON may hold a character as two halves, and a server may cut between them."""


class TextTeller:
    """For one answer. Half of a character waits for the other half."""

    def __init__(self, listener: TextListener) -> None:
        self._listener = listener
        self._half = ""

    def tell(self, piece: str) -> None:
        text = f"{self._half}{piece}"
        if not text:
            return
        self._half = text[-1] if _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1] else ""
        if whole := text.removesuffix(self._half):
            self._listener(storable_text(whole))

    def end(self) -> None:
        """The text has ended, so a pending half has no counterpart."""
        if self._half:
            self._listener(storable_text(self._half))
        self._half = ""
