"""From what the model said to what the person is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kernel_service import texts
from kernel_service.approvals.prompt import question
from kernel_service.messages import Reply
from kernel_service.turns.model import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.approvals.approval import Approval
    from kernel_service.messages import Link
    from kernel_service.turns.model import ModelAnswer
    from kernel_service.turns.transcript import Transcript


def answer_replies(answer: ModelAnswer, transcript: Transcript, most_chars: int) -> list[Reply]:
    """One reply, with the files, and the first link as its button; each further link needs a reply of its own."""
    links, files = transcript.links(), transcript.files()
    text = _text(answer, most_chars) or _without_words(answer, transcript)
    first = Reply(text, link=links[0] if links else None, media=tuple(files))
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
    said = f"{last.text}\n\n" if last.text else ""
    return [*replies[:-1], replace(last, text=said + first.text, choices=first.choices), *further]


def said_in(content: Mapping[str, Any]) -> str:
    """A message's own words."""
    return str(content.get("text") or content.get("caption") or "")


def _text(answer: ModelAnswer, most_chars: int) -> str:
    text = answer.text.strip() if visible(answer.text) else ""
    if text and (answer.cut or len(text) > most_chars):
        return f"{text[:most_chars].rstrip()}\n\n{texts.CUT}"
    return text or (texts.REFUSED if answer.refusal else "")


def _without_words(answer: ModelAnswer, transcript: Transcript) -> str:
    """What is true where the model says nothing. A question needs nothing before it."""
    if transcript.links():
        return texts.ONLY_A_BUTTON
    if transcript.files():
        return texts.ONLY_A_FILE
    if transcript.approvals():
        return ""
    if made := transcript.calls_made():
        return texts.no_words_after([texts.in_words(name) for name in made])
    return texts.NO_ANSWER_IN_TIME if answer.cut else texts.NO_ANSWER


def _subject(link: Link) -> str:
    return link.title.removeprefix("Connect ")
