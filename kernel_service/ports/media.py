"""The store's port for files. Bytes are written and read in chunks; each method is one transaction.

A file that a person sent is wanted from its channel, stored, or failed. It is kept while its message is open. A file
that a tool made is kept until its reply is settled. `MediaStore.sweep` deletes it afterwards. Times are epoch seconds.
StoreUnavailable: nothing was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.outbox import AckResult, Outcome, Puller
    from kernel_service.ports.turns import TurnMessage

CHUNK_BYTES: Final = 192 * 1024
"""A multiple of 3: its base64 is that of the file."""
WAIT_SECONDS: Final = 90.0
"""How long a message waits for its file."""
PERSON_BYTES: Final = 64 * 1024 * 1024
"""The default limit of the bytes that are kept for one person at a time."""

SETTLED_SECONDS: Final = 900.0
"""How long a file is kept after its reply is settled, since the network may still report a failure."""


class FileProblem(StrEnum):
    """Why a file cannot be opened; empty: it can."""

    NONE = ""
    UNAVAILABLE = "unavailable"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    DAMAGED = "damaged"
    WRONG_TYPE = "wrong_type"
    LOCKED = "locked"
    UNREADABLE = "unreadable"
    UNHEARD = "unheard"
    NO_ROOM = "no_room"


class ReadAs(StrEnum):
    """SEE: a picture for the model; HEAR: speech to be written down; READ: a document for the model."""

    SEE = "see"
    HEAR = "hear"
    READ = "read"


@dataclass(frozen=True, slots=True)
class MediaQuota:
    """The most bytes that are kept at a time: for all people together, and for each person."""

    all_people: int
    per_person: int = PERSON_BYTES


class MediaState(StrEnum):
    WANTED = "wanted"
    STORED = "stored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in its current state. `transcript` is None until it is transcribed."""

    id: str
    state: MediaState
    read_as: ReadAs
    mime_type: str
    size: int
    chunks: int
    problem: FileProblem
    transcript: str | None


@dataclass(frozen=True, slots=True)
class MediaWanted:
    """A file that a channel must fetch, leased to it. `sha256` is empty if the channel gave none."""

    media_id: str
    media_ref: str
    address: str
    token: str
    leased_until: float
    deadline: float
    max_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class MediaAck:
    """A file that a channel could not fetch: RETRY (after `retry_after` seconds) or FAILED."""

    media_id: str
    token: str
    outcome: Outcome
    retry_after: float | None = None
    error_code: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The result of an acknowledgement. `person_id`: a message of this person no longer waits; empty: none."""

    result: AckResult
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that has begun. Only the newest upload of a file may write. `stored`: its size if it exists already."""

    media_id: str
    id: str
    read_as: ReadAs
    mime_type: str
    filename: str
    sha256: bytes
    stored: int | None = None


class MediaStore(Protocol):
    """Files that people sent, during the transfer from their channel."""

    async def lease(
        self, puller: Puller, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[MediaWanted]:
        """Lease wanted files that are still in time; empty addresses: all of the channel.

        None are leased to an instance whose leases were released since the stream opened.
        """
        ...

    async def leased_until(self, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        """For each lease (id, token): when it ends, in the order given. None: the file is no longer wanted under it."""
        ...

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Release leases (id, token) that never reached a channel."""
        ...

    async def settle(self, channel: str, acks: Sequence[MediaAck], *, now: float) -> list[Settled]: ...

    async def begin_upload(self, channel: str, media_id: str, token: str, *, now: float) -> Upload:
        """Begin an upload, and discard an earlier one. NotFound MEDIA_NOT_FOUND, also if the lease moved on."""
        ...

    async def add_chunk(self, upload: Upload, number: int, data: bytes, *, leased_until: float) -> None:
        """Keep the next chunk, and extend the lease.

        NotFound MEDIA_NOT_FOUND: the file is no longer wanted; Exhausted MEDIA_FULL.
        """
        ...

    async def note_full(self, upload: Upload) -> None:
        """Note that there is no room for the file now. If this does not change, the person is told why."""
        ...

    async def drop_upload(self, upload: Upload) -> None:
        """Delete the chunks of an upload that ended early, unless another upload has begun since."""
        ...

    async def end_upload(self, upload: Upload, *, chunks: int, mime_type: str, problem: FileProblem) -> str:
        """Complete the upload or fail it. Returns the person whose message no longer waits. NotFound as above."""
        ...

    async def sweep(self, *, now: float) -> int:
        """Delete some files that no open message and no reply needs. Returns how many; 0: none are left."""
        ...


class FileStore(Protocol):
    """Stored files, for turns to open."""

    async def find(self, media_ids: Sequence[str]) -> dict[str, StoredFile]:
        """The files that are still kept, by id."""
        ...

    async def chunk(self, media_id: str, number: int) -> bytes:
        """One chunk; numbers start at 0. NotFound MEDIA_NOT_FOUND."""
        ...

    async def keep_transcript(
        self, media_id: str, text: str, usage: Usage, *, settles: Sequence[str] = (), now: float
    ) -> None:
        """Keep the transcript. Its usage is added to the person's day and settles these reservations."""
        ...

    async def note_problem(self, media_id: str, problem: FileProblem) -> None:
        """Note that the file cannot be opened."""
        ...


class MadeFileStore(Protocol):
    """Files that tools made."""

    async def keep(self, person_id: str, message: TurnMessage, size: int, *, now: float) -> str:
        """Begin to keep a file of `size` bytes that a tool made in answer to the message. Returns its id.

        Exhausted MEDIA_FULL, NotFound PERSON_NOT_FOUND.
        """
        ...

    async def add_chunk(self, media_id: str, number: int, data: bytes) -> None:
        """Keep the next of its chunks, each of CHUNK_BYTES but the last. NotFound MEDIA_NOT_FOUND."""
        ...

    async def chunks(self, channel: str, media_id: str) -> int:
        """How many chunks a file has that went with a reply of this channel. NotFound MEDIA_NOT_FOUND."""
        ...
