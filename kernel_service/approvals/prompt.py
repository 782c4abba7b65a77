"""A call in words that its person can judge: the tool, and each argument as it is. Bounded; markup in it is inert."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service import texts
from kernel_service.messages import Reply

if TYPE_CHECKING:
    from kernel_service.approvals.approval import Approval

MOST_VALUE: Final = 1500
"""Characters of an argument that are shown."""
MOST_SHOWN: Final = 3000
"""Characters of all arguments that are shown: one message of WhatsApp, and room for the rest."""

MOST_TITLE: Final = 80
"""Characters of what an id stands for."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""What would not be seen, or would have the rest be seen otherwise (as text from right to left)."""
_JOINERS: Final = "\u200c\u200d"
"""Many scripts and emoji are not themselves without them."""


def question(approval: Approval) -> Reply:
    asked = texts.APPROVAL_QUESTION.format(action=approval.title or texts.in_words(approval.tool))
    arguments = _in_lines(approval.arguments)
    titles = "\n".join(f"{_visible(each)}: {_title(title)}" for each, title in approval.titles.items())
    # In a block of code nothing is markup, in any channel. No argument gets into the one with the titles.
    text = f"{asked}\n\n```\n{arguments}\n```" if arguments else asked
    return Reply(f"{text}\n\n{texts.APPROVAL_TITLES}\n```\n{titles}\n```" if titles else text, choices=approval.choices)


def _in_lines(arguments: dict[str, Any]) -> str:
    lines = (f"{_visible(name)}: {_value(value)}" for name, value in arguments.items())
    return _cut("\n".join(lines), MOST_SHOWN)


def _value(value: Any) -> str:
    """Its further lines are set in: none of them looks like an argument."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return "\n  ".join(_visible(line) for line in _cut(text, MOST_VALUE).splitlines())


def _title(title: str) -> str:
    """In one line, whatever it holds: others choose the titles of things."""
    line = " ".join(_visible(" ".join(title[: 10 * MOST_TITLE].split())).split())
    return f"“{line if len(line) <= MOST_TITLE else line[: MOST_TITLE - 1].rstrip() + '…'}”"


def _visible(text: str) -> str:
    shown = (char if char in _JOINERS or unicodedata.category(char) not in _HIDDEN else "\ufffd" for char in text)
    return "".join(shown).replace("```", "'''")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + texts.APPROVAL_CUT.format(count=len(text) - most)
