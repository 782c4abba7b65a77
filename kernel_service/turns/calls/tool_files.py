"""Files that tools make for the person: stored before the result is journaled, sent with the answer of the turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.errors import Exhausted
from kernel_service.media.read_as import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import ReplyFile
    from kernel_service.ports.tools import ToolFile
    from kernel_service.turns.journal.produced_files import ProducedFiles

MOST_BYTES: Final = 16 * MIB
MOST_FILES: Final = 10
"""The most files with one answer."""

GOES: Final = "[The person gets {name} with your answer.]"
TOO_LARGE: Final = "[{name} cannot be sent: it is too large. Say so.]"
TOO_MANY: Final = "[{name} cannot be sent: there are too many files already. Say so.]"
NO_ROOM: Final = "[{name} cannot be sent now: there is no room for it. Say so.]"


async def keep_all(files: Sequence[ToolFile], store: ProducedFiles, before: int) -> tuple[list[ReplyFile], list[str]]:
    """Store files for the answer, which has `before` files already. Returns them, and for each a note to the model."""
    kept: list[ReplyFile] = []
    told: list[str] = []
    for file in files:
        says = TOO_LARGE if len(file.data) > MOST_BYTES else TOO_MANY if before + len(kept) >= MOST_FILES else GOES
        if says is GOES:
            try:
                kept.append(await store.keep(file))
            except Exhausted:
                says = NO_ROOM
        told.append(says.format(name=file.filename or "the file"))
    return kept, told
