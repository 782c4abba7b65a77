"""Files sent between people and the business: their ids expire, and their addresses expire sooner.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

DAY: Final = 24 * 3600
RECEIVED_SECONDS: Final = 7 * DAY
"""How long the id of a person's file is valid."""
UPLOADED_SECONDS: Final = 30 * DAY
ADDRESS_SECONDS: Final = 5 * 60

_MB: Final = 1024 * 1024
_AUDIO: Final = ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")
MOST_BYTES: Final = {"image": 5 * _MB, "audio": 16 * _MB, "video": 16 * _MB, "sticker": 500 * 1024}
DOCUMENT_BYTES: Final = 100 * _MB
_KINDS: Final = {
    **dict.fromkeys(("image/jpeg", "image/png"), "image"),
    **dict.fromkeys(_AUDIO, "audio"),
    **dict.fromkeys(("video/mp4", "video/3gpp"), "video"),
    "image/webp": "sticker",
}


_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
UPLOADABLE: Final = (
    *("audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg", "audio/opus"),
    *("application/vnd.ms-powerpoint", "application/msword", f"{_OFFICE}.wordprocessingml.document"),
    *(f"{_OFFICE}.presentationml.presentation", f"{_OFFICE}.spreadsheetml.sheet", "application/pdf", "text/plain"),
    *("application/vnd.ms-excel", "image/jpeg", "image/png", "image/webp", "video/mp4", "video/3gpp"),
)
"""In the order of Meta's documentation."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """The bytes under an id. `until` is when the id expires, in seconds since the epoch."""

    id: str
    data: bytes
    mime_type: str
    until: float

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.data).digest()

    @property
    def sha256(self) -> str:
        """The digest in the form of webhooks."""
        return base64.b64encode(self.digest).decode()


def is_voice(data: bytes) -> bool:
    """Whether a phone shows it as a voice message: Opus in OGG."""
    return data.startswith(b"OggS") and b"OpusHead" in data[:64]


def kind_of(mime_type: str) -> str:
    """The kind of message in which WhatsApp sends a file of this type."""
    return _KINDS.get(mime_type.partition(";")[0].strip().lower(), "document")


def too_large(file_type: str, size: int) -> bool:
    return size > MOST_BYTES.get(kind_of(file_type), DOCUMENT_BYTES)


class MediaStore:
    """Files by id, and for a short time by an unguessable address."""

    def __init__(self, clock: Callable[[], float], rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._files: dict[str, MediaFile] = {}
        self._addresses: dict[str, tuple[MediaFile, float]] = {}

    def keep(self, data: bytes, mime_type: str, seconds: float) -> MediaFile:
        """Keep a file under a new id, which expires after `seconds`."""
        file = MediaFile(str(self._rng.randrange(10**15, 10**16)), data, mime_type, self._clock() + seconds)
        self._files[file.id] = file
        return file

    def get(self, media_id: str) -> MediaFile | None:
        """The file, unless its id is unknown or has expired."""
        file = self._files.get(media_id)
        return file if file and self._clock() < file.until else None

    def delete(self, media_id: str) -> None:
        self._files.pop(media_id, None)

    def address_of(self, file: MediaFile) -> str:
        """A token that gives access to the bytes for ADDRESS_SECONDS."""
        token = f"{self._rng.getrandbits(128):032x}"
        self._addresses[token] = (file, self._clock() + ADDRESS_SECONDS)
        return token

    def at(self, token: str) -> MediaFile | None:
        """The file at an address, unless the address has expired."""
        file, until = self._addresses.get(token, (None, 0.0))
        return file if self._clock() < until else None
