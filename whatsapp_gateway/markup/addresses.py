"""Addresses in CommonMark: bare ones, those in angle brackets, and where links lead. Each pattern is linear."""

import html
import re
from typing import Final

from whatsapp_gateway.markup.boundaries import can_close

AUTOLINK: Final = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[\w.+%-]+@[\w.-]+)>")

_FOREIGN: Final = "，。；：！？、（）「」『』【】《》“”…"
"""Punctuation beside an address, never of one."""
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
    """The address that is written out here, without the punctuation of its sentence; empty: none.

    `**` and `~~` are its own, as in `/src/**/x`, unless they end emphasis by one of the marks that are open.
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
    """What stands behind an address is the sentence's; a bracket that it has opened itself is its own."""
    end = len(address)
    surplus = {close: address.count(close) - address.count(open_) for open_, close in ("()", "[]", "{}")}
    while end and (address[end - 1] in ".,;:!?'" or surplus.get(address[end - 1], 0) > 0):
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]


def link_target(text: str, start: int, *, in_word: bool) -> tuple[str, int] | None:
    """Where the link leads whose brackets have just ended, and where it ends; None: `handlers[0](event)` is none."""
    found = _TARGET.match(text, start)
    if found is None:
        return None
    target = _ENTITY.sub(_unescaped, _ESCAPE.sub(r"\1", found[1] if found[1] is not None else found[2]))
    leads = _HAS_SCHEME.match(target) or (not in_word and _IS_PATH.match(target))
    return (target, found.end()) if leads and "\n" not in target else None


def _unescaped(entity: re.Match[str]) -> str:
    """Only what ends in a semicolon is one: `?a=1&copy=2` is not."""
    return html.unescape(entity[0])


def says_the_same(title: str, target: str) -> bool:
    """Whether a title is the address itself, or lacks no more than its scheme."""
    if target.startswith("tel:"):
        return re.sub(r"[^0-9+]", "", title) == re.sub(r"[^0-9+]", "", target)
    return title.rstrip("/") == re.sub(r"\A(?:https?://|mailto:)", "", target).rstrip("/") or title == target
