"""Streams the text of a turn's answer to its watchers while the model writes it.

At the end of the turn the shown text is the text of the first reply, or nothing. Any other result (a tool call after
some words, another attempt, a fixed sentence) makes the shown text void.

A tainted turn shows whole lines, up to the first line with a link. Otherwise a channel might load an image, or a person
follow a link, before the complete answer is checked (see leaking_links). No link spans two lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.ports.model import visible
from kernel_service.ports.progress import LiveText
from kernel_service.turns.replies.leaking_links import holds_link

if TYPE_CHECKING:
    from typing import Self

    from kernel_service.ports.model import TextListener
    from kernel_service.ports.progress import Progress
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.context.transcript import Transcript

MOST_WITHHELD: Final = 4096
"""The most characters that wait for the end of a line or for a word. Beyond that the stream stops."""


class LiveAnswer:
    """Of one attempt at a turn. As a context manager: text that is not final at the exit is void.

    `preface` precedes the model's text, which is shown up to `most_chars` (see TurnLimits.output_chars).
    """

    def __init__(self, progress: Progress, turn: Turn, transcript: Transcript, most_chars: int) -> None:
        self._progress = progress
        self._turn = turn
        self._transcript = transcript
        self._most_chars = most_chars
        self.preface = ""
        self._text = LiveText()
        self._final = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._final:
            self.void()

    def listener(self) -> TextListener | None:
        """The listener for the text of the next answer; None: the turn has no watcher."""
        self.void()
        if not self._progress.is_watched(self._turn):
            return None
        opening = f"{self.preface}\n\n" if self.preface else ""
        return _Showing(self._show, opening, self._most_chars, by_line=self._transcript.tainted).hear

    def void(self) -> None:
        """Declare that the shown text is not a part of the reply."""
        if self._text.pieces and self._text.start_over():
            self._progress.show(self._turn, self._text)

    def complete(self, text: str) -> None:
        """Show the whole text of the first reply. Call before its commit, which a watcher may see at once."""
        if not self._text.pieces:
            return
        shown = self._text.shown
        if text.startswith(shown):
            self._show(text[len(shown) :])
        else:
            self.void()

    def keep(self) -> None:
        """The turn has ended: the shown text is final."""
        self._final = True

    def _show(self, text: str) -> None:
        self._text.add(text)
        self._progress.show(self._turn, self._text)


class _Showing:
    """Of one answer: decides which part of its text can be shown, so that the reply's text begins with it."""

    def __init__(self, show: TextListener, opening: str, most_chars: int, *, by_line: bool) -> None:
        self._show = show
        self._opening = opening
        self._left = most_chars
        self._by_line = by_line
        self._withheld = ""
        self._visible = False
        self._begun = False
        self._ended = False

    def hear(self, piece: str) -> None:
        if self._ended:
            return
        self._withheld += piece
        self._visible = self._visible or visible(piece)
        if self._visible and (ready := self._ready()):
            self._withheld = self._withheld[len(ready) :]
            self._pass_on(ready)
        self._ended = self._ended or self._left <= 0 or len(self._withheld) > MOST_WITHHELD

    def _ready(self) -> str:
        """The text without trailing white space, which may not be a part of the reply."""
        if not self._by_line:
            return self._withheld.rstrip()
        lines = self._withheld[: self._withheld.rfind("\n") + 1]
        self._ended = holds_link(lines)
        return "" if self._ended else lines.rstrip()

    def _pass_on(self, ready: str) -> None:
        """Show the text from its first letter, up to the length of a reply."""
        ready = (ready if self._begun else ready.lstrip())[: self._left]
        self._left -= len(ready)
        self._show(ready.rstrip() if self._begun else self._opening + ready.rstrip())
        self._begun = True
