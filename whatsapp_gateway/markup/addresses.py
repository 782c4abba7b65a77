"""Addresses in CommonMark: bare ones, those in angle brackets, and link targets. Each pattern is linear."""

import html
import re
from typing import Final

from whatsapp_gateway.markup.boundaries import can_close

AUTOLINK: Final = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[\w.+%-]+@[\w.-]+)>")

_FOREIGN: Final = "，。；：！？、（）「」『』【】《》“”…"
"""Punctuation next to an address that is never part of it."""
_BARE: Final = re.compile(
    rf"(?:(?:https?|ftp)://|www\.)[^\s<>`\"{_FOREIGN}]+",
    re.IGNORECASE,
)
_DOUBLE: Final = re.compile(r"\*{2,}|~{2,}")
_ENTITY: Final = re.compile(r"&#?[A-Za-z0-9]{1,32};")
_TARGET: Final = re.compile(
    r"""\([ \t]*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))"""
    r"""(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*\)"""
)
_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|mailto:|tel:", re.IGNORECASE)
_IS_PATH: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/#?]|\.{1,2}/|\S*[./]\S")


def bare_address(text: str, start: int, end: int, opened: str) -> str:
    """The bare address at this position, without the punctuation of its sentence; empty: none.

    `**` and `~~` belong to it, as in `/src/**/x`, unless they end emphasis that one of the open marks began.
    """
    found = _BARE.match(text, start, end)
    if found is None:
        return ""
    address = found[0]
    for run in _DOUBLE.finditer(address):
        before, after = address[run.start() - 1], address[run.end() : run.end() + 1]
        ends = run[0][0] in opened and can_close(run[0], before, after, address[run.end() + 1 : run.end() + 2])
        if ends or not after.isascii() or (not after and not text[found.end() : found.end() + 1].isascii()):
            address = address[: run.start()]
            break
    return without_punctuation(address)


def without_punctuation(address: str) -> str:
    """Punctuation after an address belongs to the sentence; a closing bracket whose opening one is in the address
    belongs to it.
    """
    end = len(address)
    surplus = {close: address.count(close) - address.count(open_) for open_, close in ("()", "[]", "{}")}
    while end and (address[end - 1] in ".,;:!?'" or surplus.get(address[end - 1], 0) > 0):
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]


def link_target(text: str, start: int, *, in_word: bool) -> tuple[str, int] | None:
    """The target of the link whose brackets have just ended, and where it ends; None: not a link, as in
    `handlers[0](event)`.
    """
    found = _TARGET.match(text, start)
    if found is None:
        return None
    target = _ENTITY.sub(_unescaped, _ESCAPE.sub(r"\1", found[1] if found[1] is not None else found[2]))
    leads = _HAS_SCHEME.match(target) or (not in_word and _IS_PATH.match(target))
    return (target, found.end()) if leads and "\n" not in target else None


def _unescaped(entity: re.Match[str]) -> str:
    """Only a name that ends in a semicolon is an entity: `?a=1&copy=2` has none."""
    return html.unescape(entity[0])


def says_the_same(title: str, target: str) -> bool:
    """Whether a title is the address itself, possibly without its scheme."""
    if target.startswith("tel:"):
        return re.sub(r"[^0-9+]", "", title) == re.sub(r"[^0-9+]", "", target)
    return title.rstrip("/") == re.sub(r"\A(?:https?://|mailto:)", "", target).rstrip("/") or title == target
