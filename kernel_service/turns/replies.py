"""From what the model said to what the person is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_service import texts
from kernel_service.messages import Link, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.messages import ReplyFile
    from kernel_service.turns.model import ModelAnswer


def answer_replies(answer: ModelAnswer, links: list[Link], files: list[ReplyFile], most_chars: int) -> list[Reply]:
    """One reply, with the files, and the first link as its button; each further link needs a reply of its own."""
    first = Reply(_text(answer, most_chars), link=links[0] if links else None, media=tuple(files))
    return [
        first,
        *(Reply(texts.CONNECT_ALSO.format(toolkit=_subject(link)), link=link) for link in links[1:]),
    ]


def said_in(content: Mapping[str, Any]) -> str:
    """A message's own words."""
    return str(content.get("text") or content.get("caption") or "")


def _text(answer: ModelAnswer, most_chars: int) -> str:
    text = answer.text.strip() or (texts.REFUSED if answer.refusal else "")
    if answer.cut or len(text) > most_chars:
        return f"{text[:most_chars].rstrip()}\n\n{texts.CUT}".strip()
    return text or texts.NOTHING_TO_SAY


def _subject(link: Link) -> str:
    return link.title.removeprefix("Connect ")
