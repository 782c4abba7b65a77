"""Converts the answer of the model to replies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.ports.messages import Reply
from kernel_service.ports.model import visible
from kernel_service.turns.replies.leaking_links import carrying_hosts, without_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.messages import Link
    from kernel_service.ports.model import ModelAnswer
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.turns.context.for_the_person import ForThePerson
    from kernel_service.turns.context.transcript import Transcript

_MOST_ABOVE: Final = 200
"""The most characters of the model's text above an approval prompt."""
_MARKUP: Final = frozenset("`~*_<>[]#|\\&")


def answer_replies(
    answer: ModelAnswer, beside: ForThePerson, transcript: Transcript, seen: Iterable[HistoryItem], most_chars: int
) -> list[Reply]:
    """One reply with the files, and the first link as its button. Each further link needs a separate reply."""
    links = beside.links
    text = with_confirmations(_warned(_text(answer, most_chars), transcript, seen), beside.confirmed)
    text = text or _without_words(answer, beside, transcript)
    first = Reply(text, link=links[0] if links else None, media=beside.files)
    return [first, *(Reply(texts.connecting.connect_also(_subject(link)), link=link) for link in links[1:])]


def with_prompts(replies: list[Reply], prompts: Sequence[ApprovalPrompt]) -> list[Reply]:
    """Each approval prompt has separate buttons, and its document before it.

    The model's text is placed above the first prompt if it can neither look like a part of it nor push it out of sight.
    """
    if not prompts:
        return replies
    *before, last = replies
    asked = [each for prompt in prompts for each in _asked(prompt)]
    if last.text and not last.link and not last.media and prompts[0].document is None and _is_plain(last.text):
        return [*before, replace(asked[0], text=f"{last.text}\n\n{asked[0].text}"), *asked[1:]]
    return [*before, *([last] if last.text or last.link or last.media else []), *asked]


def with_confirmations(text: str, confirmed: Sequence[str]) -> str:
    """The text, and below it the words that the person must read and that it does not hold already."""
    if not confirmed:
        return text
    said = letters(text)
    return "\n\n".join(filter(None, (text, *(words for words in confirmed if letters(words) not in said))))


def letters(text: str) -> str:
    """Without markup, line breaks and case."""
    return "".join(filter(str.isalnum, text.casefold()))


def _asked(prompt: ApprovalPrompt) -> list[Reply]:
    asked = Reply(prompt.text, choices=prompt.choices)
    return [Reply(texts.approvals.FILE, media=(prompt.document,)), asked] if prompt.document else [asked]


def _is_plain(text: str) -> bool:
    """A line without any markup."""
    return len(text) <= _MOST_ABOVE and text.isprintable() and not _MARKUP & set(text)


def _warned(text: str, transcript: Transcript, seen: Iterable[HistoryItem]) -> str:
    """Adds a warning about links that may leak data, before the answer, since the answer may be several messages."""
    hosts = carrying_hosts(text, seen) if transcript.tainted else []
    if not hosts:
        return text
    named = [f"`{host.replace('`', '')}`" for host in hosts]
    return f"{texts.answers.link_warning(named)}\n\n{without_images(text)}"


def _text(answer: ModelAnswer, most_chars: int) -> str:
    text = answer.text.strip() if visible(answer.text) else ""
    if text and (answer.cut or len(text) > most_chars):
        return f"{text[:most_chars].rstrip()}\n\n{texts.answers.CUT}"
    return text or (texts.answers.REFUSED if answer.refusal else "")


def _without_words(answer: ModelAnswer, beside: ForThePerson, transcript: Transcript) -> str:
    """The text of an answer without words. An approval prompt needs no text before it."""
    if beside.links:
        return texts.answers.ONLY_A_BUTTON
    if beside.files:
        return texts.answers.ONLY_A_FILE
    if beside.prompts:
        return ""
    if made := transcript.calls_made():
        return texts.answers.no_words_after([texts.approvals.in_words(name) for name in made])
    return texts.answers.NO_ANSWER_IN_TIME if answer.cut else texts.answers.NO_ANSWER


def _subject(link: Link) -> str:
    return link.title.removeprefix("Connect ")
