"""The only access to the database: units of work, run in group-committed transactions.

A unit is a plain function `unit(tx) -> T`. It may run more than once (a lost race, a deadlock, a lost connection) but
is committed at most once, so it keeps no state outside the database.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import bindparam, select

from kernel_service.errors import NotFound
from kernel_service.storage.schema.people import person
from kernel_service.storage.sealing import earlier_seals
from kernel_service.storage.sealing.ciphers import KEY_BYTES, PersonCipher, WrappedKey, place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Executable

    from kernel_service.ports.notices import NoticeTransport
    from kernel_service.storage.engine.outage_log import OutageLog
    from kernel_service.storage.engine.results import Result
    from kernel_service.storage.engine.statements import Statements
    from kernel_service.storage.sealing.ciphers import Digests, MasterKeys

T = TypeVar("T")

_KEY_OF = select(person.c.key_id, person.c.data_key, person.c.bound).where(person.c.id == bindparam("person"))


class DataKey(NamedTuple):
    """A person's data key as stored. `bound`: each of the person's values, and this key, is sealed for its place."""

    wrapped: WrappedKey
    bound: bool


def wrap_data_key(master_keys: MasterKeys, person_id: str, key: bytes, *, bound: bool = True) -> dict[str, Any]:
    """The columns of a person's row that hold their data key."""
    stored = master_keys.wrap(key, _context(person_id, bound=bound))
    return {"data_key": stored.wrapped, "key_id": stored.key_id, "bound": bound}


def unwrap_data_key(master_keys: MasterKeys, person_id: str, stored: DataKey) -> bytes:
    """Raises `Unreadable`."""
    return master_keys.unwrap(stored.wrapped, _context(person_id, bound=stored.bound))


def _context(person_id: str, *, bound: bool) -> bytes:
    return place(person.c.data_key, person_id).context() if bound else earlier_seals.data_key(person_id)


class Keyring:
    """Opens data keys with the master keys and caches the most recently used ones. Thread-safe."""

    def __init__(self, master_keys: MasterKeys, *, capacity: int = 10_000) -> None:
        self.master_keys = master_keys
        self._ciphers: OrderedDict[str, PersonCipher] = OrderedDict()
        self._capacity = capacity
        self._lock = threading.Lock()

    def cipher(self, person_id: str, read: Callable[[], DataKey]) -> PersonCipher:
        with self._lock:
            known = self._ciphers.get(person_id)
            if known is not None:
                self._ciphers.move_to_end(person_id)
                return known
        stored = read()
        key = unwrap_data_key(self.master_keys, person_id, stored)
        return self._cached(person_id, PersonCipher(key, None if stored.bound else earlier_seals.of_person(person_id)))

    def new_key(self, person_id: str) -> dict[str, Any]:
        """The columns of a new person's row that hold their data key."""
        key = os.urandom(KEY_BYTES)
        # If the transaction is not committed, no row has this id, so the entry is never used.
        self._cached(person_id, PersonCipher(key))
        return wrap_data_key(self.master_keys, person_id, key)

    @property
    def size(self) -> int:
        """The number of keys in the cache."""
        return len(self._ciphers)

    def clear(self) -> None:
        """Clear the cache, because the stored keys may have changed."""
        with self._lock:
            self._ciphers.clear()

    def drop(self, person_id: str) -> None:
        """Remove a person's key, which is destroyed, from the cache."""
        with self._lock:
            self._ciphers.pop(person_id, None)

    def _cached(self, person_id: str, cipher: PersonCipher) -> PersonCipher:
        with self._lock:
            self._ciphers[person_id] = cipher
            if len(self._ciphers) > self._capacity:
                self._ciphers.popitem(last=False)
        return cipher


class Execute(Protocol):
    """Runs a statement in the unit's transaction: once, or once for each of many sets of values."""

    def __call__(
        self, statement: Executable, given: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None, /
    ) -> Result: ...


class Tx:
    """The transaction of a unit: its statements, the keys of its people, the digests."""

    __slots__ = ("connection", "cursor", "digests", "execute", "keyring")

    def __init__(self, connection: Connection, statements: Statements, keyring: Keyring, digests: Digests) -> None:
        self.connection = connection
        self.cursor: Any = connection.connection.cursor()
        """The driver's, for all statements of the transaction."""
        self.keyring = keyring
        self.digests = digests
        self.execute: Execute = partial(statements.execute, connection, self.cursor)

    def cipher_of(self, person_id: str) -> PersonCipher:
        """Raises `NotFound` PERSON_NOT_FOUND, `SealingKeyUnknown`."""
        return self.keyring.cipher(person_id, lambda: self._stored_key(person_id))

    def _stored_key(self, person_id: str) -> DataKey:
        row = self.execute(_KEY_OF, {"person": person_id}).one_or_none()
        if row is None:
            raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
        return DataKey(WrappedKey(row.key_id, row.data_key), row.bound)


class Engine(Protocol):
    """The common interface of SQLite and PostgreSQL. `StoreUnavailable`: nothing was stored or read."""

    statements: Statements
    keyring: Keyring
    is_shared: bool
    """Whether other processes may use the database, too."""
    notices: NoticeTransport | None
    """Carries notices between these processes."""
    end_process: Callable[[str], None]
    """Ends this process at once, for the reason given."""
    outages: tuple[OutageLog, OutageLog]
    """Of reading, and of writing."""

    async def write(self, unit: Callable[[Tx], T], person_id: str = "") -> T:
        """Return after COMMIT. Units of the same `person_id` (any key) commit in the order of the calls.

        A unit that raises is rolled back alone, and its error is raised here.
        """
        ...

    def write_behind(self, unit: Callable[[Tx], Any], person_id: str = "") -> None:
        """As `write`, for a unit whose result no caller awaits; its error is logged.

        It commits with the next unit that is awaited, or alone within some milliseconds. A unit of the same `person_id`
        that is written later commits with it or after it. A process that ends before that loses it, as does an outage
        of the database.
        """
        ...

    async def write_apart(self, unit: Callable[[Tx], T]) -> T:
        """As `write`, in a separate short transaction with low priority: for large values that are not urgent."""
        ...

    async def write_alone(self, unit: Callable[[Tx], T]) -> T:
        """As `write`, in a separate transaction that waits for no other unit of this process: for a heartbeat."""
        ...

    async def read(self, unit: Callable[[Tx], T]) -> T: ...

    async def vacuum(self) -> str:
        """Remove deleted and overwritten values from disk. Returns what the operator still has to do, or ''."""
        ...

    async def close(self) -> None: ...
