"""Files of the conversation: a reference in the history, the file itself or a sentence in the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.openai_refusals import FILES, IMAGES
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import ModelFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from kernel_service.ports.payloads import File

REFERENCE: Final = "media"
"""The type of a part of ours: in the history it stands for a file, and never leaves as it is."""
_GONE: Final = "[The file itself is not at hand any more.]"
_NOT_TAKEN: Final = {
    IMAGES: "[You cannot see it: the model that runs here takes no images.]",
    FILES: "[You cannot read it: the model that runs here takes no files.]",
}
_NEEDS: Final = {ReadAs.SEE: IMAGES, ReadAs.READ: FILES}


def reference(file: File | None) -> list[dict[str, Any]]:
    """The file, if the model is to be shown it; what was heard is there in words."""
    if file is None or not file.media_id or file.transcript is not None:
        return []
    return [{"type": REFERENCE, "media_id": file.media_id}]


REFERS: Final = orjson.dumps({"type": REFERENCE, "media_id": ""})[: -len('"}')]
"""The beginning of a reference as it is kept. Within a text each quotation mark has a backslash, so no words match."""


def shown(media_id: str, files: Mapping[str, ModelFile | str], lacks: AbstractSet[str]) -> ModelFile | str:
    """The file, or the sentence instead. `lacks` are things of openai_refusals.LACKS."""
    file = files.get(media_id, _GONE)
    needed = _NEEDS.get(file.read_as, "") if isinstance(file, ModelFile) else ""
    return _NOT_TAKEN[needed] if needed in lacks else file
