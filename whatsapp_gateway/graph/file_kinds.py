"""The kind of message in which WhatsApp sends a file, and the files that it supports.

Types and sizes: developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

import mimetypes
from typing import Final

from whatsapp_gateway.model.outbox import File

_MIB: Final = 1024 * 1024
MOST_BYTES: Final = {"image": 5 * _MIB, "audio": 16 * _MIB, "video": 16 * _MIB, "document": 100 * _MIB}
CAPTIONED: Final = frozenset({"image", "video", "document"})

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_KINDS: Final = {
    **dict.fromkeys(("image/jpeg", "image/png"), "image"),
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), "audio"),
    **dict.fromkeys(("video/mp4", "video/3gpp"), "video"),
    **dict.fromkeys(
        (
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            f"{_OFFICE}.wordprocessingml.document",
            f"{_OFFICE}.spreadsheetml.sheet",
            f"{_OFFICE}.presentationml.presentation",
            "text/plain",
        ),
        "document",
    ),
}
_AS_TEXT: Final = frozenset({"application/json", "application/xml"})


def kind_of(file: File) -> str:
    """`image`, `audio`, `video` or `document`; empty: WhatsApp does not support it."""
    kind = _KINDS.get(upload_type(file), "")
    return kind if kind and file.size <= MOST_BYTES[kind] else ""


def is_voice(file: File) -> bool:
    """WhatsApp shows only Opus in OGG as a voice message."""
    return file.voice and upload_type(file) == "audio/ogg"


def upload_type(file: File) -> str:
    """The upload type. WhatsApp supports plain text as the only text type; the name tells the real one."""
    mime_type = _plain(file.mime_type)
    return "text/plain" if mime_type.startswith("text/") or mime_type in _AS_TEXT else mime_type


def shown_name(file: File) -> str:
    """The file name that the person sees."""
    return file.filename or f"file{mimetypes.guess_extension(_plain(file.mime_type)) or ''}"


def _plain(mime_type: str) -> str:
    """Without parameters, as in `audio/ogg; codecs=opus`: WhatsApp's list of supported types has none."""
    return mime_type.partition(";")[0].strip().lower()
