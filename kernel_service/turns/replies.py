"""From what the model said to what the person is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kernel_service import texts
from kernel_service.messages import Link, Reply
from kernel_service.turns.questions import question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.messages import ReplyFile
    from kernel_service.turns.approving import Approval
    from kernel_service.turns.model import ModelAnswer


def answer_replies(answer: ModelAnswer, links: list[Link], files: list[ReplyFile], most_chars: int) -> list[Reply]:
    """One reply, with the files, and the first link as its button; each further link needs a reply of its own."""
    first = Reply(_text(answer, most_chars), link=links[0] if links else None, media=tuple(files))
    return [
        first,
        *(Reply(texts.CONNECT_ALSO.format(toolkit=_subject(link)), link=link) for link in links[1:]),
    ]


def with_questions(replies: list[Reply], approvals: Sequence[Approval]) -> list[Reply]:
    """Each question has buttons of its own. The first stands below the last reply, if that has no other button."""
    if not approvals:
        return replies
    [first, *further], last = [question(each) for each in approvals], replies[-1]
    if last.link is not None or last.media:
        return [*replies, first, *further]
    said = "" if last.text == texts.NOTHING_TO_SAY else f"{last.text}\n\n"
    return [*replies[:-1], replace(last, text=said + first.text, choices=first.choices), *further]


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
