"""A model of how WhatsApp's apps show a message, in two versions: the strictest and the loosest of the public
descriptions.

It is independent of the gateway's own parser, which it checks. Sources: faq.whatsapp.com/539178204879377;
mautrix-whatsapp, pkg/msgconv; a naive app. In the strict version emphasis begins after white space, another mark, or an
opening bracket or quote; it ends before anything but a letter or digit. In the loose version any mark begins emphasis
that does not follow a letter or digit.
"""

import re
from dataclasses import dataclass
from enum import Enum

_WORD = r"[^\W_]"
_INSIDE = r"(?P<{name}>(?![\s{mark}])(?:(?!\n).)*?[^\s{mark}]|(?![\s{mark}]).)"
_ADDRESS = r"(?:https?://|www\.)\S+"


class Reading(Enum):
    STRICT = r"(?<![^\s*_~(\[{<\"'“‘«‹„‚¿¡—–|`])"
    LOOSE = rf"(?<!{_WORD})"


@dataclass(frozen=True)
class Shown:
    """Text as a person sees it, and which of it is bold, italic, struck or code."""

    text: str
    marked: tuple[tuple[str, str], ...]

    def of(self, mark: str) -> list[str]:
        return [text for sign, text in self.marked if sign == mark]


def show(message: str, reading: Reading = Reading.STRICT) -> Shown:
    marked: list[tuple[str, str]] = []
    text = "".join(_blocks(message, reading, marked))
    return Shown(text, tuple(marked))


def _blocks(message: str, reading: Reading, marked: list[tuple[str, str]]) -> list[str]:
    parts = re.split(r"```(.+?)```", message, flags=re.DOTALL)
    shown = []
    for number, part in enumerate(parts):
        if number % 2:
            marked.append(("`", part.strip("\n")))
            shown.append(part)
        else:
            shown.append("\n".join(_line(line, reading, marked) for line in part.split("\n")))
    return shown


def _line(line: str, reading: Reading, marked: list[tuple[str, str]]) -> str:
    """Without the bullet or the bar that the app draws for it."""
    return _inline(re.sub(r"\A(?:> |[*-] )", "", line), reading, marked)


def _inline(text: str, reading: Reading, marked: list[tuple[str, str]]) -> str:
    pattern = "|".join(
        [rf"(?P<code>`[^`\n]+`)|(?P<address>{_ADDRESS})"]
        + [
            rf"(?P<m{number}>{reading.value}(?<!{re.escape(mark)}){re.escape(mark)}"
            rf"{_INSIDE.format(name=f'i{number}', mark=re.escape(mark))}{re.escape(mark)}(?!{_WORD}|{re.escape(mark)}))"
            for number, mark in enumerate("*_~")
        ]
    )
    shown, position = [], 0
    for found in re.finditer(pattern, text):
        shown.append(text[position : found.start()])
        position = found.end()
        if found["address"]:
            shown.append(found[0])
        elif found["code"]:
            marked.append(("`", found[0][1:-1]))
            shown.append(found[0][1:-1])
        else:
            number = next(number for number in range(3) if found[f"m{number}"])
            inside = _inline(found[f"i{number}"], reading, marked)
            marked.append(("*_~"[number], inside))
            shown.append(inside)
    return "".join([*shown, text[position:]])
