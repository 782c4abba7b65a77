"""CommonMark to the markup that WhatsApp shows: *bold*, _italic_, ~struck~, `code`, lists, quotes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

_DEEPEST: Final = 20
"""Levels of lists and quotes, or of marks, in one another: nobody writes so many, and the parser reads no more."""
# Definitions of links are shown like all else: CommonMark would drop them, used or not.
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
    """The text as blocks that stand apart by an empty line; none is blank or ends in white space.

    A text that nests too deep, or of which nothing would be shown, is one block as it was written.
    """
    tokens = _PARSER.parse(markdown)
    blocks = [] if _nests_too_deep(tokens) else map(_block, SyntaxTreeNode(tokens).children)
    return [block for block in blocks if block.text] or _as_written(markdown)


def _nests_too_deep(tokens: Sequence[Token]) -> bool:
    """Whether the parser may have left out what lies deeper, or marks are in marks without end."""
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
