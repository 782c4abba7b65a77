"""The callback id that Meta echoes with each status: it identifies the part of the reply."""

import re
from typing import Final, NamedTuple

_SHAPE: Final = re.compile(r"(rp_[A-Za-z0-9]+)/([1-9]\d{0,2})/([1-9]\d{0,2})", re.ASCII)


class PartName(NamedTuple):
    """Part `part` of the `parts` of a reply, from 1."""

    reply_id: str
    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.reply_id}/{self.part}/{self.parts}"


def part_named(callback_id: str) -> PartName | None:
    """None: not in our format."""
    found = _SHAPE.fullmatch(callback_id)
    return PartName(found[1], int(found[2]), int(found[3])) if found else None
