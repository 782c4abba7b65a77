"""The unchanged rule of split version 2: a reply that was partly sent under it is finished under it.

Frozen, including its faults, because each character of its output counts. Remove it with the first release after the
one that introduced version 3, when no reply that was begun under it can be left.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

_DEEPEST: Final = 20
"""The deepest nesting of lists and quotes, or of marks: realistic text has less, and the parser reads no deeper."""
# Definitions of links are shown like other text: CommonMark would drop them, used or not.
_PARSER: Final = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable("strikethrough").disable("reference")
)
_MARKS: Final = {"strong": "*", "em": "_", "s": "~"}
_CODE: Final = frozenset({"fence", "code_block"})
_RULE: Final = "———"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list or quote; or the lines of a code block without their fence."""

    text: str
    code: bool = False

    def shown(self) -> str:
        return f"```\n{self.text}\n```" if self.code else self.text


def to_blocks(markdown: str) -> list[Block]:
    """The text as blocks, which empty lines separate; none is blank or ends in white space.

    A text with too deep nesting, or without visible content, is one block as written.
    """
    tokens = _PARSER.parse(markdown)
    blocks = [] if _nests_too_deep(tokens) else map(_block, SyntaxTreeNode(tokens).children)
    return [block for block in blocks if block.text] or _as_written(markdown)


def _nests_too_deep(tokens: Sequence[Token]) -> bool:
    """Whether the parser may have skipped deeper content, or marks are nested too deep."""
    levels = (level for token in tokens for level in (token.level, *(mark.level for mark in token.children or ())))
    return max(levels, default=0) >= _DEEPEST - 1


def _as_written(markdown: str) -> list[Block]:
    text = markdown.strip()
    return [Block(text)] if text else []


def _block(node: SyntaxTreeNode) -> Block:
    if node.type in _CODE:
        return Block(node.content.rstrip(), code=True)
    return Block(_prose(node).rstrip())


def _prose(node: SyntaxTreeNode) -> str:
    match node.type:
        case "heading":
            title = _inline(node.children, ("*",))
            return f"*{title}*" if title else ""
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "blockquote":
            return _indented("\n\n".join(map(_prose, node.children)), "> ", "> ")
        case "hr":
            return _RULE
        case kind if kind in _CODE:
            return _block(node).shown()
    return _inline(node.children, ())


def _list(node: SyntaxTreeNode) -> str:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    lines = []
    for position, item in enumerate(node.children):
        marker = "- " if first is None else f"{first + position}. "
        lines.append(_indented("\n".join(map(_prose, item.children)), marker, " " * len(marker)))
    return "\n".join(lines)


def _indented(text: str, first: str, rest: str) -> str:
    return first + text.replace("\n", f"\n{rest}")


def _inline(nodes: Sequence[SyntaxTreeNode], marks: tuple[str, ...]) -> str:
    """The line's text; marks are those already open around it."""
    return "".join(_span(node, marks) for node in nodes)


def _span(node: SyntaxTreeNode, marks: tuple[str, ...]) -> str:
    match node.type:
        case "strong" | "em" | "s":
            return _marked(node, marks)
        case "softbreak" | "hardbreak":
            # WhatsApp's marks end with their line.
            return "".join(reversed(marks)) + "\n" + "".join(marks)
        case "code_inline":
            return f"{node.markup}{node.content}{node.markup}"
        case "link" | "image":
            return _link(node, marks)
    return _inline(node.children, marks) if node.type == "inline" else node.content


def _marked(node: SyntaxTreeNode, marks: tuple[str, ...]) -> str:
    mark = _MARKS[node.type]
    if mark in marks:
        return _inline(node.children, marks)
    inner = _inline(node.children, (*marks, mark))
    return f"{mark}{inner}{mark}" if inner.strip() else inner


def _link(node: SyntaxTreeNode, marks: tuple[str, ...]) -> str:
    url = str(node.attrs["src" if node.type == "image" else "href"])
    title = node.content if node.type == "image" else _inline(node.children, marks)
    if node.info == "auto" or not url:
        return title
    return url if title in {"", url} else f"{title} ({url})"


GAP: Final = "\n\n"
_FENCE: Final = len(Block("", code=True).shown())
_BREAKS: Final = (re.compile(r"\n"), re.compile(r"(?<=[.!?…。])\s+"), re.compile(r"\s+"))
_JOINERS: Final = "\u200d\ufe0f"


def pack(blocks: Sequence[Block], limit: int) -> list[str]:
    """The blocks in as few messages as their order allows, each of 1 to limit characters."""
    messages: list[str] = []
    for piece in pieces(blocks, limit):
        if messages and len(messages[-1]) + len(GAP) + len(piece.shown()) <= limit:
            messages[-1] += GAP + piece.shown()
        else:
            messages.append(piece.shown())
    return messages


def with_tail(blocks: Sequence[Block], limit: int, tail_limit: int) -> tuple[list[str], str]:
    """All but the last message as in pack(); the last as long as tail_limit allows, empty if there is no text."""
    rest = list(blocks)
    tail = ""
    while rest and len(longer := GAP.join(filter(None, (rest[-1].shown(), tail)))) <= tail_limit:
        tail = longer
        rest.pop()
    if rest and not tail:
        block = rest.pop()
        last = pieces([block], tail_limit)[-1]
        rest.append(Block(block.text.removesuffix(last.text).rstrip(), block.code))
        tail = last.shown()
    return pack(rest, limit), tail


def pieces(blocks: Sequence[Block], limit: int) -> list[Block]:
    """The blocks, with the long ones cut into several; code stays code in each."""
    return [
        Block(text, block.code)
        for block in blocks
        for text in _cut(block.text, limit - (_FENCE if block.code else 0))
        if text.strip()
    ]


def _cut(text: str, limit: int) -> list[str]:
    parts = []
    while len(text) > limit:
        end, start = _best_cut(text, limit)
        parts.append(text[:end])
        text = text[start:]
    return [*parts, text]


def _best_cut(text: str, limit: int) -> tuple[int, int]:
    """Where a part ends and the next one begins: at the end of a line, a sentence or a word, or anywhere."""
    for pattern in _BREAKS:
        breaks = [match for match in pattern.finditer(text, 0, limit + 1) if 0 < match.start() <= limit]
        if breaks and breaks[-1].start() > limit // 4:
            return breaks[-1].span()
    end = limit
    while end > 1 and _belongs_to_previous(text[end - 1], text[end]):
        end -= 1
    return end, end


def _belongs_to_previous(previous: str, char: str) -> bool:
    return char in _JOINERS or previous == "\u200d" or bool(unicodedata.combining(char))


def short(text: str, limit: int) -> str:
    """At most `limit` code points."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
