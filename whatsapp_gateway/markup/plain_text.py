"""Recognizes text that reading as CommonMark would not change, as most replies are: then nothing needs to be read."""

import re
from typing import Final

_MARKS: Final = re.compile(r"[\\`*_~\[<&]")
_OTHER_SPACE: Final = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char not in " \n")
_TABLE_OR_SPACE: Final = re.compile(f"[|{re.escape(_OTHER_SPACE)}]")
_BLOCK: Final = re.compile(
    # More than one empty line, no text, indentation, a heading, a quote, an underline or another bullet.
    r"\n(?:\n\n|\Z|[ +=>#]"
    # A list's item, unless it is a simple one: those are shown as they are written.
    r"|(?:-|[0-9]{1,9}[.)])(?! [^\W\d_]))"
)


def has_no_marks(text: str) -> bool:
    """Whether a paragraph certainly holds no inline markup and no address."""
    return not (_MARKS.search(text) or "://" in text or "www." in text.lower())


def is_plain(text: str) -> bool:
    """Whether a text certainly holds no markup at all, so that its paragraphs are its blocks, as they are written.

    White space at the ends of lines, and any other than spaces and line feeds, makes it not plain.
    """
    return has_no_marks(text) and not (
        " \n" in text or text[-1:].isspace() or _TABLE_OR_SPACE.search(text) or _BLOCK.search("\n\n" + text)
    )
