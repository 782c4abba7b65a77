"""Files, locations and contact cards that a person sent."""

import math
import re
from pathlib import PurePosixPath
from typing import Final

from whatsapp_gateway.inbound.fields import Object, flag_in, number_in, object_in, objects_in, text_in
from whatsapp_gateway.model.digests import read_sha256
from whatsapp_gateway.model.media_ids import is_media_id
from whatsapp_gateway.model.updates import Contact, Contacts, Location, Media

MOST_NAME_BYTES: Final = 255
_MIME: Final = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[\x20-\x7e]*)?", re.ASCII)
_UNKNOWN_MIME: Final = "application/octet-stream"


def read_media(message: Object) -> Media | None:
    """A file, by its id at WhatsApp; None without a valid id. `voice` is an old type name of voice messages."""
    kind = text_in(message, "type")
    file = object_in(message, kind)
    media_id = text_in(file, "id")
    if not is_media_id(media_id):
        return None
    mime_type = text_in(file, "mime_type")
    return Media(
        kind="audio" if kind == "voice" else kind,
        ref=media_id,
        mime_type=mime_type if _MIME.fullmatch(mime_type) else _UNKNOWN_MIME,
        sha256=read_sha256(text_in(file, "sha256")),
        filename=_filename(text_in(file, "filename")),
        caption=text_in(file, "caption"),
        voice=kind == "voice" or flag_in(file, "voice"),
        size=_size(file),
    )


def _filename(name: str) -> str:
    """A name that is too long keeps its end, which tells the kind of file."""
    if len(name.encode()) <= MOST_NAME_BYTES:
        return name
    suffix = PurePosixPath(name).suffix.encode()[: MOST_NAME_BYTES // 2]
    stem = name.encode()[: MOST_NAME_BYTES - len(suffix)]
    return stem.decode(errors="ignore") + suffix.decode(errors="ignore")


def _size(file: Object) -> int:
    size = number_in(file, "file_size")
    return int(size) if size is not None and 0 <= size < 2**53 else 0


def read_location(message: Object) -> Location | None:
    """A location; None if its coordinates are invalid."""
    location = object_in(message, "location")
    latitude, longitude = _degrees(location, "latitude", 90), _degrees(location, "longitude", 180)
    if latitude is None or longitude is None:
        return None
    return Location(latitude, longitude, text_in(location, "name"), text_in(location, "address"))


def _degrees(location: Object, key: str, most: float) -> float | None:
    degrees = number_in(location, key)
    return degrees if degrees is not None and math.isfinite(degrees) and abs(degrees) <= most else None


def read_contacts(message: Object) -> Contacts | None:
    """Contact cards; None if all of them are empty."""
    cards = tuple(card for contact in objects_in(message, "contacts") if (card := _card(contact)) != Contact())
    return Contacts(cards) if cards else None


def _card(contact: Object) -> Contact:
    name = object_in(contact, "name")
    parts = (text_in(name, part) for part in ("first_name", "middle_name", "last_name"))
    return Contact(
        text_in(name, "formatted_name") or " ".join(filter(None, parts)),
        _texts(contact, "phones", "phone", "wa_id"),
        _texts(contact, "emails", "email"),
        text_in(object_in(contact, "org"), "company"),
    )


def _texts(contact: Object, key: str, *names: str) -> tuple[str, ...]:
    """The first of these names that each item has."""
    found = (next(filter(None, (text_in(item, name) for name in names)), "") for item in objects_in(contact, key))
    return tuple(filter(None, found))
