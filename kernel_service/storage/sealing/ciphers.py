"""Sealing at rest: a data key per person, wrapped by a master key that is identified by its id; keyed digests.

AES-256-GCM. A sealed value is its 12-byte nonce and the ciphertext. Its place is authenticated as associated data.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel_service.errors import SealedValueDamaged, SealingKeyUnknown, Unreadable
from kernel_service.storable import storable_text, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column

KEY_BYTES = 32
DIGEST_MARK: Final = "hmac:"
"""The prefix of a digest in a column that may also hold the value in clear."""
_NONCE_BYTES = 12


class KeysError(ValueError):
    """The setting with the master keys is wrong. The text never quotes a key."""


class Place(NamedTuple):
    """The location of a value. A value is sealed for its place, and does not open in any other table, column or row."""

    table: str
    column: str
    row: tuple[str | int | bytes, ...]

    def context(self) -> bytes:
        """As netstrings, so that the encodings of two places always differ."""
        return _column_context(self.table, self.column) + b"".join(map(_netstring, self.row))


def place(column: Column[Any], *row: str | int | bytes) -> Place:
    """The place of `column` in the row with this key, in the order of `columns.row_key`."""
    return Place(column.table.name, column.name, row)


@cache
def _column_context(table: str, column: str) -> bytes:
    return _netstring(table) + _netstring(column)


@lru_cache(maxsize=1000)
def _netstring(part: str | int | bytes) -> bytes:
    """Cached, since the values of one person, and of one row, are sealed and read together."""
    match part:
        case str():
            raw = storable_text(part).encode()  # as a text column stores it
        case int():
            raw = b"%d" % part
        case _:
            raw = part
    return b"%d:%b," % (len(raw), raw)


_REFUSED: Final = (InvalidTag, ValueError)
"""Raised for a changed value, and for a truncated one."""


class Cipher:
    """Seals with one key."""

    __slots__ = ("_aead", "decrypt")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.decrypt = self._aead.decrypt

    def seal(self, plain: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises `SealedValueDamaged` if the value was changed, moved or sealed with another key."""
        try:
            return self.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except _REFUSED:
            raise _damaged() from None


class PersonCipher:
    """Seals with a person's data key. `earlier` gives the context that a place had before values were bound to places.

    Without `earlier`, no value of that form opens. A person whose values are all bound has no `earlier`.
    """

    __slots__ = ("_cipher", "_earlier")

    def __init__(self, key: bytes, earlier: Callable[[Place], bytes | None] | None = None) -> None:
        self._cipher = Cipher(key)
        self._earlier = earlier

    def seal(self, plain: bytes, place: Place) -> bytes:
        return self._cipher.seal(plain, place.context())

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Raises `SealedValueDamaged` if the value was changed, moved or sealed with another key."""
        try:
            return self._cipher.open(sealed, place.context())
        except Unreadable:
            earlier = self._earlier(place) if self._earlier else None
            if earlier is None:
                raise
            return self._cipher.open(sealed, earlier)

    def opener(self, column: Place) -> Callable[[bytes, int], bytes]:
        """A function that opens many values of one column, as `open`, at little cost.

        `column` is their place without the last part of the row's key, a number. It is given with each value.
        """
        start, decrypt = column.context(), self._cipher.decrypt

        def opened(sealed: bytes, number: int) -> bytes:
            digits = b"%d" % number
            try:
                return decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], b"%b%d:%b," % (start, len(digits), digits))
            except _REFUSED:
                return self.open(sealed, column._replace(row=(*column.row, number)))

        return opened

    def rebound(self, sealed: bytes, place: Place) -> bytes | None:
        """The value sealed for its place; None: it is already. Raises `SealedValueDamaged`."""
        try:
            self._cipher.open(sealed, place.context())
        except Unreadable:
            return self.seal(self.open(sealed, place), place)
        return None

    def seal_json(self, value: Any, place: Place) -> bytes:
        """Seals a value from a person, a vendor or a tool, corrected where necessary (see `storable`)."""
        return self._cipher.seal(to_json(value), place.context())

    def open_json(self, sealed: bytes, place: Place) -> Any:
        """Raises `SealedValueDamaged`, also if the value is not JSON."""
        try:
            return orjson.loads(self.open(sealed, place))
        except orjson.JSONDecodeError:
            raise _damaged() from None

    def seal_text(self, text: str, place: Place) -> bytes:
        return self._cipher.seal(storable_text(text).encode(), place.context())

    def open_text(self, sealed: bytes, place: Place) -> str:
        """Raises `SealedValueDamaged`, also if the value is not text."""
        try:
            return self.open(sealed, place).decode()
        except UnicodeDecodeError:
            raise _damaged() from None


def _damaged() -> SealedValueDamaged:
    return SealedValueDamaged(
        "a stored value does not open with its key; is the one in KERNEL_ENCRYPTION_KEYS another?",
    )


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key, or another short value, sealed with the master key of this id."""

    key_id: str
    wrapped: bytes


class MasterKeys:
    """The keys of `KERNEL_ENCRYPTION_KEYS`: the first one wraps, all of them unwrap."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._ciphers = {key_id: Cipher(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))
        """The id of the key that wraps."""

    @classmethod
    def parse(cls, setting: str) -> MasterKeys:
        """See `parse_keys`."""
        return cls(parse_keys(setting))

    @property
    def ids(self) -> tuple[str, ...]:
        """The current one first."""
        return tuple(self._ciphers)

    def wrap(self, key: bytes, context: bytes) -> WrappedKey:
        return WrappedKey(self.current, self._ciphers[self.current].seal(key, context))

    def unwrap(self, stored: WrappedKey, context: bytes) -> bytes:
        """Raises `SealingKeyUnknown` if the key that wrapped it is not configured."""
        cipher = self._ciphers.get(stored.key_id)
        if cipher is None:
            raise SealingKeyUnknown(
                f"stored data needs the encryption key '{stored.key_id}'; add it to KERNEL_ENCRYPTION_KEYS",
                key_id=stored.key_id,
            )
        return cipher.open(stored.wrapped, context)


def parse_keys(setting: str) -> dict[str, bytes]:
    """Parse `id:base64 of 32 bytes`, comma-separated, in order. Raises `KeysError`, which names the wrong entry."""
    keys: dict[str, bytes] = {}
    for place, entry in enumerate(filter(None, map(str.strip, setting.split(","))), start=1):
        key_id, key = _parse_entry(place, entry)
        if key_id in keys:
            raise KeysError(f"key {place} repeats the id of an earlier key")
        keys[key_id] = key
    if not keys:
        raise KeysError("no key: expected `id:base64 of 32 bytes`, several with commas")
    return keys


def _parse_entry(place: int, entry: str) -> tuple[str, bytes]:
    key_id, colon, encoded = entry.partition(":")
    if not colon or not key_id or not key_id.replace("-", "").replace("_", "").isalnum():
        raise KeysError(f"key {place} has no id before a colon: expected `id:base64 of 32 bytes`")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise KeysError(f"key {place} is not base64") from None
    if len(key) != KEY_BYTES:
        raise KeysError(f"key {place} has {len(key)} bytes, not {KEY_BYTES}")
    return key_id, key


class Digests:
    """Keyed digests (HMAC-SHA256): equal values have equal digests, which cannot be guessed without the key."""

    __slots__ = ("_key", "some_in_clear")

    def __init__(self, key: bytes, *, some_in_clear: bool = False) -> None:
        self._key = key
        # Rows of an earlier release may hold a message's id itself instead of its digest.
        self.some_in_clear = some_in_clear

    def user(self, user_id: str) -> bytes:
        """Digest of a channel's id for a person, in the form `<channel>:<id>`."""
        return hmac.digest(self._key, b"user\0" + user_id.encode(), hashlib.sha256)

    def payload(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, b"payload\0" + payload, hashlib.sha256)

    def key_for(self, purpose: str) -> bytes:
        """A separate 32-byte key for MACs that are stored nowhere; it is the same in every process."""
        return hmac.digest(self._key, b"key\0" + purpose.encode(), hashlib.sha256)

    def message_id(self, message_id: str) -> str:
        """Digest of a channel's id of a message: `DIGEST_MARK` and 43 characters of base64. Empty for an empty id."""
        if not message_id:
            return ""
        digest = hmac.digest(self._key, b"message_id\0" + storable_text(message_id).encode(), hashlib.sha256)
        return DIGEST_MARK + base64.urlsafe_b64encode(digest).decode().rstrip("=")
