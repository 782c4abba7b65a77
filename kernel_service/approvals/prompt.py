"""A call in words that its person can judge: the tool, and each argument as it is, in one message of a phone.

The most important arguments come first (see leaves). A long value is shown by its beginning and end, and its full text
is in a document that is sent before the prompt. For a call that cannot be shown even so there is no prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.approvals.leaves import Leaf, Rank, leaves_of
from kernel_service.approvals.unnamed import reaches_unnamed
from kernel_service.approvals.visible import head, mixed_words, tail, units, visible
from kernel_service.storable import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import Approval

MOST_SHOWN: Final = 1000
"""UTF-16 code units of a prompt: WhatsApp shows 1,024 above buttons."""
FOLDED_FROM: Final = 700
"""WhatsApp's apps show about this much of a message, and the rest behind "Read more"."""
MOST_DOCUMENT: Final = 300_000
"""Bytes."""
FILENAME: Final = "please-confirm.txt"

MOST_TITLE: Final = 80
"""Characters of the title of a thing or a tool."""
_MOST_PATH: Final = 60
_MOST_NAMED: Final = 8
"""Addresses in a long text that are shown beside it."""
_MOST_LINES: Final = 300
"""A message shows no more arguments than that."""
_ROOMS: Final = (240, 120, 60)
"""Characters of a long value that are shown."""
_FEWER: Final = (16, 8, 4, 2, 0)
"""Values that are not essential."""
GAP: Final = "\n\n"
_MARKUP: Final = str.maketrans(dict.fromkeys("`*_~[]<>\\", " "))


@dataclass(frozen=True, slots=True)
class Shown:
    """The text of a prompt, and the document that is sent before it. None: the text shows all."""

    text: str
    document: bytes | None = None


def shown(approvals: Sequence[Approval]) -> Shown | None:
    """The prompt for these calls, as full as one message can be. None: it cannot even hold the essential values."""
    if sum(len(to_json(approval.arguments)) for approval in approvals) > MOST_DOCUMENT:
        return None
    calls = [_Call(approval, leaves_of(approval.arguments)) for approval in approvals]
    is_small = sum(len(call.leaves) for call in calls) <= _MOST_LINES
    if is_small and units(text := _composed(calls, _Detail(None))) <= MOST_SHOWN:
        return Shown(text)
    document = _document(calls)
    if len(document) > MOST_DOCUMENT:
        return None
    note = texts.approvals.in_file(FILENAME, -(-len(document) // 1000))
    whole = [_Detail(room) for room in _ROOMS] if is_small else []
    # A prompt for several calls shows each argument. If that is impossible, each call gets its own prompt.
    details = whole if len(calls) > 1 else [*whole, *(_Detail(_ROOMS[-1], most) for most in _FEWER)]
    composed = (_composed(calls, detail, note) for detail in details)
    return next((Shown(text, document) for text in composed if units(text) <= MOST_SHOWN), None)


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is shown: of a long value, and of the values that are not essential; None: all."""

    room: int | None
    others: int | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, and its arguments as the person sees them."""

    approval: Approval
    leaves: list[Leaf]


def _composed(calls: Sequence[_Call], detail: _Detail, note: str = "") -> str:
    only = len(calls) == 1
    shown_calls = [_shown(call, "" if only else f"{number}. ", detail) for number, call in enumerate(calls, 1)]
    asked = f"{texts.approvals.QUESTION}{' ' if only else GAP}{GAP.join(shown_calls)}"
    text = GAP.join(filter(None, (note, asked, _why(calls), _titles(calls) if detail.others is None else "")))
    return text if units(text) <= FOLDED_FROM else f"{texts.approvals.LONG}{GAP}{text}"


def _why(calls: Sequence[_Call]) -> str:
    """Why the calls need approval, each reason once."""
    reasons = dict.fromkeys(call.approval.reason for call in calls if call.approval.reason)
    return "\n".join(texts.approvals.WHY[reason] for reason in reasons)


def _shown(call: _Call, number: str, detail: _Detail) -> str:
    """The arguments are in a block of code, where no channel interprets markup."""
    title = f"**{number}{_named(call.approval)}**"
    lines = "\n".join(_lines(call.leaves, detail))
    told = "\n".join((title, *_unnamed(call)))
    return f"{told}\n\n```\n{lines}\n```" if lines else told


def _unnamed(call: _Call) -> list[str]:
    is_told = reaches_unnamed(call.approval.tool, call.leaves, call.approval.titles)
    return [texts.approvals.UNNAMED] if is_told else []


def _named(approval: Approval) -> str:
    """The tool's title in one line, without markup, since a third party may have chosen it."""
    return _in_one_line((approval.title or texts.approvals.in_words(approval.tool)).translate(_MARKUP)) or "?"


def _lines(leaves: Sequence[Leaf], detail: _Detail) -> list[str]:
    others = count()
    kept = [leaf for leaf in leaves if leaf.essential or detail.others is None or next(others) < detail.others]
    lines = list(chain.from_iterable(_argument(leaf, detail.room) for leaf in kept))
    left_out = len(leaves) - len(kept)
    return [*lines, texts.approvals.others_in_file(left_out)] if left_out else lines


def _argument(leaf: Leaf, room: int | None) -> list[str]:
    """A value of one line follows its name. The lines of a longer value are marked, so that none looks like a name.

    Nothing else begins with that mark, or with the text for omitted parts.
    """
    path = leaf.path if room is None or leaf.rank is Rank.PARTY else _cut_in_line(leaf.path, _MOST_PATH)
    if room is not None and leaf.rank is not Rank.PARTY and sum(map(units, leaf.lines)) > room:
        return [f"{path} ({leaf.length} characters):", *_cut(leaf, room), *_in_plain_letters(leaf)]
    if len(leaf.lines) == 1:
        return [f"{path}: {leaf.lines[0]}", *_decoded(leaf), *_in_plain_letters(leaf)]
    return [f"{path}:", *(f"| {line}" for line in leaf.lines), *_decoded(leaf), *_in_plain_letters(leaf)]


def _cut(leaf: Leaf, room: int) -> list[str]:
    """Its beginning, the addresses in between, and its end."""
    line = " ⏎ ".join(leaf.lines)
    begins, ends = head(line, max(2 * room // 3, _host(line))), tail(line, room // 3)
    between = [visible(each) for each in leaf.names if each[:_MOST_PATH] not in f"{begins}\n{ends}"]
    among = ", ".join(_cut_in_line(each, _MOST_PATH) for each in between[:_MOST_NAMED])
    more = f" (+{len(between) - _MOST_NAMED})" if len(between) > _MOST_NAMED else ""
    left_out = texts.approvals.cut(len(line) - len(begins) - len(ends))
    return [f"| {begins}", f"{left_out}, with {among}{more}" if among else left_out, f"| {ends}"]


def _host(line: str) -> int:
    """The index at which the host of a link ends. The person must see the host, since the rest belongs to it."""
    scheme, found, rest = line.partition("://")
    ends = next((place for place, char in enumerate(rest) if char in "/?#"), len(rest))
    return min(len(scheme) + len(found) + ends, 2 * MOST_SHOWN) if found and " " not in scheme else 0


def _cut_in_line(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{head(text, most // 2)}…({len(text)} characters)…{tail(text, most // 4)}"


def _decoded(leaf: Leaf) -> list[str]:
    """Addresses in the value that appear only after decoding."""
    seen = "\n".join(leaf.lines)
    decoded = [each for each in map(visible, leaf.names) if each not in seen]
    return [texts.approvals.decoded(decoded)] if decoded else []


def _in_plain_letters(leaf: Leaf) -> list[str]:
    """Addresses with letters that may look like others, and recipients without an address (`#general`) with such."""
    is_party = leaf.rank is Rank.PARTY
    words = mixed_words("\n".join(leaf.lines)) if is_party and not leaf.names else map(_site, leaf.names)
    odd = list(dict.fromkeys(each for each in words if not each.isascii()))
    shown_odd = odd if is_party else odd[:_MOST_NAMED]
    return [texts.approvals.odd_letters(each.encode("unicode_escape").decode()) for each in shown_odd]


def _site(name: str) -> str:
    """An address, or the beginning of a link up to its path."""
    begin = name.find("//") + 2 if "//" in name else 0
    return name[: next((place for place in range(begin, len(name)) if name[place] in "/?#"), len(name))]


def _titles(calls: Sequence[_Call]) -> str:
    """In a separate block, so that no argument can appear to be a title."""
    told = _titles_in_lines(calls)
    return f"{texts.approvals.TITLES}\n```\n{told}\n```" if told else ""


def _titles_in_lines(calls: Sequence[_Call]) -> str:
    told = {visible(each): _title(title) for call in calls for each, title in call.approval.titles.items()}
    return "\n".join(f"{each}: {title}" for each, title in told.items())


def _title(title: str) -> str:
    """In one line and in quotes, since third parties choose the titles of things."""
    return f"“{_in_one_line(title)}”"


def _in_one_line(text: str) -> str:
    line = " ".join(visible(" ".join(text[: 10 * MOST_TITLE].split())).split())
    return line if len(line) <= MOST_TITLE else head(line, MOST_TITLE - 1).rstrip() + "…"


def _document(calls: Sequence[_Call]) -> bytes:
    """All arguments of all calls, as plain text."""
    told = [
        "\n".join((f"{number}. {_named(call.approval)}", *_unnamed(call), *_lines(call.leaves, _Detail(None))))
        for number, call in enumerate(calls, 1)
    ]
    titles = _titles_in_lines(calls)
    return GAP.join((texts.approvals.QUESTION, *told, *([texts.approvals.TITLES, titles] if titles else []))).encode()
