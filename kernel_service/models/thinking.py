"""Reasoning that a server leaves in the text, as `<think>…</think>` before the answer.

llama.cpp, vLLM and Ollama do so for models whose form of reasoning they are not set to parse.
"""

from __future__ import annotations

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


def without_thinking(text: str) -> str:
    """The text after the reasoning. The opening tag may be missing, since some templates put it into the prompt."""
    _, closed, said = text.rpartition(_CLOSE)
    if closed:
        return said.lstrip()
    return "" if text.lstrip().startswith(_OPEN) else text


class SpokenPart:
    """As without_thinking(), for a text that arrives in pieces. Reasoning without an opening tag counts as text."""

    def __init__(self) -> None:
        self._held: str | None = ""

    def take(self, piece: str) -> str:
        """The text that can be sent now."""
        if self._held is None:
            return piece
        self._held += piece
        text = self._held.lstrip()
        if text.startswith(_OPEN):
            _, closed, said = text.partition(_CLOSE)
            if not closed or not (said := said.lstrip()):
                return ""
            self._held = None
            return said
        if _OPEN.startswith(text):
            return ""
        held, self._held = self._held, None
        return held

    def end(self) -> str:
        """The text that was kept back and turned out not to begin reasoning."""
        held, self._held = self._held or "", None
        return without_thinking(held)
