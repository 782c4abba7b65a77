"""Files of the conversation: a reference in the history, the file itself or a sentence in the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.openai_refusals import FILES, IMAGES
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import ModelFile
from kernel_service.storable import storable_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from kernel_service.ports.payloads import File

REFERENCE: Final = "media"
"""The type of a part of ours. In the history it refers to a file; it is never sent as it is."""
_GONE: Final = "[The file itself is not at hand any more.]"
_NOT_TAKEN: Final = {
    IMAGES: "[You cannot see it: the model that runs here takes no images.]",
    FILES: "[You cannot read it: the model that runs here takes no files.]",
}
_NEEDS: Final = {ReadAs.SEE: IMAGES, ReadAs.READ: FILES}


def reference(file: File) -> list[dict[str, Any]]:
    """A reference to the file, if the model is to see it. A recording's words are in the history instead."""
    if not file.media_id or file.transcript is not None:
        return []
    return [{"type": REFERENCE, "media_id": file.media_id}]


REFERS: Final = orjson.dumps({"type": REFERENCE, "media_id": ""})[: -len('"}')]
"""The beginning of a stored reference. In texts each quotation mark has a backslash, so no words match."""


MOST_TEXT_BYTES: Final = 60_000
"""Bytes of a file that is shown as text: as much as fits a model of 32,768 tokens."""
_TEXTS: Final = ("text/", "application/json", "application/xml", "application/csv")
_BEGINS: Final = "[The file {name} begins here.]"
_ENDS: Final = "[The file ends here.]"
_IS_CUT: Final = "[Only the beginning of the file is shown.]"


async def as_text(files: Mapping[str, ModelFile | str]) -> dict[str, ModelFile | str]:
    """The files, with the text of those of plain text: for servers that accept no files."""
    return {media_id: await _text_of(file) or file for media_id, file in files.items()}


async def _text_of(file: ModelFile | str) -> str:
    """The file's text; empty: it is not plain text."""
    if isinstance(file, str) or file.read_as is not ReadAs.READ or not file.mime_type.startswith(_TEXTS):
        return ""
    data = b""
    async for chunk in file.chunks():
        data += chunk
        if len(data) > MOST_TEXT_BYTES:
            break
    end = _IS_CUT if len(data) > MOST_TEXT_BYTES else _ENDS
    text = storable_text(data[:MOST_TEXT_BYTES].decode(errors="replace"))
    return f"{_BEGINS.format(name=file.filename)}\n{text}\n{end}"


def shown(media_id: str, files: Mapping[str, ModelFile | str], lacks: AbstractSet[str]) -> ModelFile | str:
    """The file, or the sentence that replaces it. `lacks` are things of openai_refusals.LACKS."""
    file = files.get(media_id, _GONE)
    needed = _NEEDS.get(file.read_as, "") if isinstance(file, ModelFile) else ""
    return _NOT_TAKEN[needed] if needed in lacks else file
