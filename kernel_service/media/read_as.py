"""Which files can be opened, and how: by the kind of message, the type that the channel names, the name's suffix.

The types that the model vendors accept: platform.openai.com/docs/guides/pdf-files, …/images-vision, …/speech-to-text.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from kernel_service.ports.media import ReadAs

MIB: Final = 1024 * 1024


MOST_BYTES: Final = {ReadAs.SEE: 10 * MIB, ReadAs.HEAR: 16 * MIB, ReadAs.READ: 32 * MIB}
"""The vendors accept at most 50 MB in a request, in base64."""

PICTURES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
_OTHER_PICTURES: Final = frozenset(
    {"image/heic", "image/heif", "image/avif", "image/tiff", "image/svg+xml", "image/bmp", "image/x-icon"}
)
SOUNDS: Final = {
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/webm": "webm",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
}
_OTHER_SOUNDS: Final = frozenset(
    {
        "audio/amr",
        "audio/amr-wb",
        "audio/aac",
        "audio/3gpp",
        "audio/midi",
        "audio/basic",
        "audio/aiff",
        "audio/x-ms-wma",
    }
)
_SYNONYMS: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/ogg": "audio/ogg",
    "audio/x-opus+ogg": "audio/ogg",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
}
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "application/json": "json",
}
_TYPE_OF_SUFFIX: Final = (
    {suffix: kind for kind, suffix in reversed(SOUNDS.items())}
    | {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
    | {suffix: kind for kind, suffix in _DOCUMENTS.items()}
)
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown"})
_NAMELESS: Final = _SAYS_NOTHING | {"application/vnd.ms-excel", "text/comma-separated-values"}
"""Types that say less than the file's name: Windows declares any CSV as Excel's."""


def effective_type(mime_type: str, filename: str) -> str:
    """The type without its parameters; of a file whose type says nothing, by its name."""
    bare = _bare(mime_type)
    return _TYPE_OF_SUFFIX.get(_suffix(filename), bare) if bare in _NAMELESS else bare


def says_nothing(mime_type: str) -> bool:
    """Whether the type only says that the file has bytes."""
    return _bare(mime_type) in _SAYS_NOTHING


def read_as_of(kind: str, mime_type: str, filename: str) -> ReadAs | None:
    """How a file is opened; None: it cannot be. `kind` is that of the message: image, audio, document, …

    The channel says that it is a picture or a sound, so the bytes decide how it is opened, whatever its declared
    type is, unless that type is one that no model accepts.
    """
    bare = effective_type(mime_type, filename)
    if (kind == "image" and bare not in _OTHER_PICTURES) or (kind == "document" and bare in PICTURES):
        return ReadAs.SEE
    if (kind == "audio" and bare not in _OTHER_SOUNDS) or (kind == "document" and bare in SOUNDS):
        return ReadAs.HEAR
    if kind == "document" and (bare in _DOCUMENTS or bare.startswith("text/")):
        return ReadAs.READ
    return None


def named(mime_type: str, filename: str) -> str:
    """A name with the suffix of its type, by which the vendors recognise the type."""
    bare = effective_type(mime_type, filename)
    suffix = SOUNDS.get(bare) or _DOCUMENTS.get(bare) or ("txt" if bare.startswith("text/") else "")
    if not suffix or _suffix(filename) == suffix:
        return filename or "file"
    return f"{PurePosixPath(filename).stem or 'file'}.{suffix}"


def _suffix(filename: str) -> str:
    return PurePosixPath(filename).suffix.lower().removeprefix(".")


def _bare(mime_type: str) -> str:
    bare = mime_type.partition(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare)
