"""Converts a reply to the bodies of Graph messages, within WhatsApp's limits. Pure, and the same on every instance.

Limits: developers.facebook.com/documentation/business-messaging/whatsapp/messages
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from whatsapp_gateway.graph.file_kinds import CAPTIONED, is_voice, kind_of, shown_name
from whatsapp_gateway.markup import split_rule_2
from whatsapp_gateway.markup.commonmark import as_text, to_blocks
from whatsapp_gateway.markup.graphemes import shortened, units
from whatsapp_gateway.markup.splitting import GAP, SPLIT_VERSION, pack, with_tail
from whatsapp_gateway.model.outbox import File, Link, OfferedChoice, Reply

TEXT: Final = 4096
INTERACTIVE_TEXT: Final = 1024
CAPTION: Final = 1024
BUTTONS: Final = 3
BUTTON_TITLE: Final = 20
ROWS: Final = 10
ROW_ID: Final = 200
ROW_TITLE: Final = 24
ROW_DESCRIPTION: Final = 72
URL: Final = 2000

GOOD_FOR: Final = "Good for {minutes} minutes"
OPEN: Final = "Open"
CHOOSE: Final = "Choose"
"""Used if a reply has no text, and WhatsApp requires one."""
NOT_SENT: Final = "({name} cannot be sent on WhatsApp.)"

_WEB: Final = re.compile(r"https?://[^\s/]+\S*")
_BSUID: Final = re.compile(r"whatsapp:([A-Z]{2}\.[A-Za-z0-9.]+)")
_PHONE: Final = re.compile(r"whatsapp:([0-9]+)")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How text is split into messages. A reply that was partly sent under one rule is not continued under another."""

    block: Callable[[str], Any]
    to_blocks: Callable[[str], list[Any]]
    pack: Callable[[Sequence[Any], int], list[str]]
    with_tail: Callable[[Sequence[Any], int, int], tuple[list[str], str]]
    shortened: Callable[[str, int], str]
    length: Callable[[str], int]
    keeps_all: bool = True
    """Whether a title that is cut off is repeated in full elsewhere."""


RULES: Final = {
    SPLIT_VERSION: SplitRule(as_text, to_blocks, pack, with_tail, shortened, units),
    "2": SplitRule(
        split_rule_2.Block,
        split_rule_2.to_blocks,
        split_rule_2.pack,
        split_rule_2.with_tail,
        split_rule_2.short,
        len,
        keeps_all=False,
    ),
}
"""By split version."""


def render(reply: Reply, version: str = SPLIT_VERSION) -> list[Body]:
    """The messages of a reply, in order, without recipient; empty if there is nothing to send.

    They reference a file by its ref until it is uploaded.
    """
    bodies = _RENDERINGS[version].spoken(reply)
    if reply.quoted_id and bodies:
        bodies[0]["context"] = {"message_id": reply.quoted_id}
    if reply.reaction_to:
        reaction = {"message_id": reply.reaction_to, "emoji": reply.reaction}
        bodies.insert(0, {"type": "reaction", "reaction": reaction})
    return bodies


def recipient(user_id: str) -> Body | None:
    """The field that names a person; None if the id is not one of WhatsApp's.

    A business-scoped id must never be in `to`: WhatsApp would accept the message and drop it silently.
    """
    if bsuid := _BSUID.fullmatch(user_id):
        return {"recipient_type": "individual", "recipient": bsuid[1]}
    if phone := _PHONE.fullmatch(user_id):
        return {"recipient_type": "individual", "to": phone[1]}
    return None


def file_in(body: Body, files: Sequence[File]) -> File | None:
    """The file of a reply that one of its messages carries, if any."""
    ref = body[body["type"]].get("id")
    return next((file for file in files if file.ref == ref), None)


def in_words(body: Body, file: File) -> Body:
    """A text message instead of one whose file WhatsApp does not accept."""
    blocks = (body[body["type"]].get("caption", ""), as_text(NOT_SENT.format(name=shown_name(file))).text)
    sent = {name: value for name, value in body.items() if name not in {"type", body["type"]}}
    return sent | _text(GAP.join(filter(None, blocks)))


class _Rendering:
    """Replies under one rule."""

    def __init__(self, rule: SplitRule) -> None:
        self._rule = rule

    def spoken(self, reply: Reply) -> list[Body]:
        blocks = self._rule.to_blocks(reply.text)
        if reply.files:
            return self._with_files(reply, blocks)
        return self._worded(reply, blocks)

    def _with_files(self, reply: Reply, blocks: list[Any]) -> list[Body]:
        files = [file for file in reply.files if kind_of(file)]
        left_out = [NOT_SENT.format(name=shown_name(file)) for file in reply.files if not kind_of(file)]
        blocks += [self._rule.block(line) for line in left_out]
        if files and not reply.link and not reply.choices and kind_of(files[0]) in CAPTIONED:
            captions = self._rule.pack(blocks, CAPTION)
            if len(captions) <= 1:
                return [_file(files[0], *captions), *map(_file, files[1:])]
        return [*self._worded(reply, blocks), *map(_file, files)]

    def _worded(self, reply: Reply, blocks: list[Any]) -> list[Body]:
        link, choices = reply.link, reply.choices
        if link and not (_WEB.fullmatch(link.url) and len(link.url) <= URL):
            blocks.append(self._rule.block(f"{link.title} ({link.url})" if link.title else link.url))
            link = None
        if choices and not self._can_be_tapped(choices):
            lines = "\n".join(_line(number, offer) for number, offer in enumerate(choices, 1))
            blocks.append(self._rule.block(lines))
            choices = ()
        if not link and not choices:
            return [_text(text) for text in self._rule.pack(blocks, TEXT)]
        texts, tail = self._rule.with_tail(blocks, TEXT, INTERACTIVE_TEXT)
        bodies = [_text(text) for text in texts]
        if link:
            # With choices, they keep the text that introduces them.
            bodies.append(self._button_link(link, "" if choices else tail))
        if choices:
            bodies.append(self._choices(choices, tail))
        return bodies

    def _can_be_tapped(self, choices: Sequence[OfferedChoice]) -> bool:
        """Whether they fit WhatsApp's buttons or rows; otherwise they become lines of the text."""
        ids = {offer.id for offer in choices}
        named = all(offer.title.strip() and 1 <= len(offer.id) <= ROW_ID for offer in choices)
        return len(choices) <= ROWS and len(ids) == len(choices) and named and all(map(self._is_said_whole, choices))

    def _is_said_whole(self, offer: OfferedChoice) -> bool:
        """A row has room for the whole choice: a title that is too long becomes the description, if there is none."""
        if not self._rule.keeps_all:
            return True
        described = offer.description or offer.title
        fits = offer.description == "" or self._rule.length(offer.title) <= ROW_TITLE
        return fits and self._rule.length(described) <= ROW_DESCRIPTION

    def _button_link(self, link: Link, text: str) -> Body:
        title = self._rule.shortened(link.title or OPEN, BUTTON_TITLE)
        parameters = {"display_text": title, "url": link.url}
        said = text or (self._rule.shortened(link.title, INTERACTIVE_TEXT) if self._rule.keeps_all else "") or title
        body = _interactive("cta_url", said, {"name": "cta_url", "parameters": parameters})
        if link.minutes:
            body["interactive"]["footer"] = {"text": GOOD_FOR.format(minutes=link.minutes)}
        return body

    def _choices(self, choices: Sequence[OfferedChoice], text: str) -> Body:
        text = text or CHOOSE
        if self._fit_buttons(choices):
            replies = [{"type": "reply", "reply": {"id": offer.id, "title": offer.title}} for offer in choices]
            return _interactive("button", text, {"buttons": replies})
        rows = [self._row(offer) for offer in choices]
        return _interactive("list", text, {"button": CHOOSE, "sections": [{"rows": rows}]})

    def _fit_buttons(self, choices: Sequence[OfferedChoice]) -> bool:
        titles = [offer.title for offer in choices]
        fits = all(self._rule.length(offer.title) <= BUTTON_TITLE and not offer.description for offer in choices)
        return fits and len(choices) <= BUTTONS and len(set(titles)) == len(titles)

    def _row(self, offer: OfferedChoice) -> Body:
        title = self._rule.shortened(offer.title, ROW_TITLE)
        description = offer.description or (offer.title if self._rule.keeps_all and title != offer.title else "")
        row = {"id": offer.id, "title": title}
        return row | ({"description": self._rule.shortened(description, ROW_DESCRIPTION)} if description else {})


_RENDERINGS: Final = {version: _Rendering(rule) for version, rule in RULES.items()}


def _file(file: File, caption: str = "") -> Body:
    kind = kind_of(file)
    named = {"caption": caption, "filename": shown_name(file) if kind == "document" else ""}
    more = {"voice": True} if is_voice(file) else {}
    return {"type": kind, kind: {"id": file.ref} | {key: value for key, value in named.items() if value} | more}


def _text(text: str) -> Body:
    return {"type": "text", "text": {"body": text, "preview_url": False}}


def _interactive(kind: str, text: str, action: Body) -> Body:
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": text}, "action": action}}


def _line(number: int, offer: OfferedChoice) -> str:
    return f"{number}. {offer.title}" + (f" – {offer.description}" if offer.description else "")
