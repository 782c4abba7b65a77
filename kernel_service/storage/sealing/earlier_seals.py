"""The contexts of values sealed before each was bound to its table, column and row. Newer columns have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.sealing.ciphers import Place

_OF_PERSON: Final = {
    ("alias", "value"): b"alias:",
    ("message", "payload"): b"message:",
    ("item", "data"): b"item:",
    ("kernel", "time_zone"): b"time_zone:",
    ("parked_request", "words"): b"parked:",
}
_OF_ROW: Final[dict[tuple[str, str], bytes]] = {
    ("reply", "body"): b"reply:",
    ("connection", "private"): b"connection:",
    ("connect_attempt", "secrets"): b"connect:",
    ("approval", "arguments"): b"approval:",
    ("media", "asked"): b"media:",
    ("media", "transcript"): b"transcript:",
    ("media_chunk", "data"): b"media_chunk:",
}


def of_person(person_id: str) -> Callable[[Place], bytes | None]:
    """The earlier context of this person's values, by place; None: no value was sealed there."""

    def earlier(place: Place) -> bytes | None:
        named = (place.table, place.column)
        if named in _OF_PERSON:
            return _OF_PERSON[named] + person_id.encode()
        return _OF_ROW[named] + ":".join(map(str, place.row)).encode() if named in _OF_ROW else None

    return earlier


def data_key(person_id: str) -> bytes:
    """The context for which a person's data key was wrapped."""
    return b"data_key:" + person_id.encode()


def secret(name: str) -> bytes:
    return b"secret:" + name.encode()


def awaiting(previous_digest: bytes, current_digest: bytes) -> bytes:
    return b"identity_link:" + previous_digest + current_digest
