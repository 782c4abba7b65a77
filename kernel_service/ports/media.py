"""The store's port for files. Bytes are written and read in chunks; each method is one transaction.

A file that a person sent is wanted of its channel, stored, or failed. It lives as long as its message is open; one that
a tool made lives until its reply is settled, too. `MediaStore.sweep` deletes it afterwards. Times are epoch seconds.
StoreUnavailable: nothing was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.outbox import AckResult, Outcome
    from kernel_service.ports.turns import TurnMessage

CHUNK_BYTES: Final = 192 * 1024
"""A multiple of 3: its base64 is that of the file."""
WAIT_SECONDS: Final = 90.0
"""How long a message waits for its file."""
PERSON_BYTES: Final = 64 * 1024 * 1024
"""The most that is kept for one person at a time, unless a setting says otherwise."""

SETTLED_SECONDS: Final = 900.0
"""How long a file is still at hand once its reply is settled: the network may yet say that it failed."""


class FileProblem(StrEnum):
    """Why a file cannot be opened. The empty one: it can."""

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
    """Bytes that are kept at a time: of all people's files, and of each person's."""

    all_people: int
    per_person: int = PERSON_BYTES


class MediaState(StrEnum):
    WANTED = "wanted"
    STORED = "stored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it stands. `transcript` is None until it has been heard."""

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
    """A file that a channel is to fetch, leased to it. `sha256` is empty where the channel gave none."""

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
    """A file that a channel could not fetch: RETRY (after so many seconds) or FAILED."""

    media_id: str
    token: str
    outcome: Outcome
    retry_after: float | None = None
    error_code: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an acknowledgement; `person_id` has a message that waits no more, if not empty."""

    result: AckResult
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that has begun: only the newest of a file may write. `stored` is its size if it is there already."""

    media_id: str
    id: str
    read_as: ReadAs
    mime_type: str
    filename: str
    sha256: bytes
    stored: int | None = None


class MediaStore(Protocol):
    """Files that people sent, on their way from their channel."""

    async def lease(
        self, channel: str, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[MediaWanted]:
        """Lease files that are wanted and in time; empty addresses: all of the channel."""
        ...

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Take leases (id, token) back that never reached a channel."""
        ...

    async def settle(self, channel: str, acks: Sequence[MediaAck], *, now: float) -> list[Settled]: ...

    async def begin_upload(self, channel: str, media_id: str, token: str, *, now: float) -> Upload:
        """Begin anew what was begun before. NotFound MEDIA_NOT_FOUND, also if another has the lease."""
        ...

    async def add_chunk(self, upload: Upload, number: int, data: bytes) -> None:
        """Keep the next chunk. NotFound MEDIA_NOT_FOUND: it is not wanted any more; Exhausted MEDIA_FULL."""
        ...

    async def note_full(self, upload: Upload) -> None:
        """There is no room for it now; if it stays so, the person is told why."""
        ...

    async def drop_upload(self, upload: Upload) -> None:
        """Delete what was kept of an upload that ended early, unless another has begun since."""
        ...

    async def end_upload(self, upload: Upload, *, chunks: int, mime_type: str, problem: FileProblem) -> str:
        """All chunks are there, or it failed for good; who has a message that waits no more. NotFound as above."""
        ...

    async def sweep(self, *, now: float) -> int:
        """Delete some of what no open message and no reply needs; how much, 0 when there is no more."""
        ...


class FileStore(Protocol):
    """Files that are kept, as a turn opens them."""

    async def find(self, media_ids: Sequence[str]) -> dict[str, StoredFile]:
        """Those that are still kept."""
        ...

    async def chunk(self, media_id: str, number: int) -> bytes:
        """From 0. NotFound MEDIA_NOT_FOUND."""
        ...

    async def keep_transcript(
        self, media_id: str, text: str, usage: Usage, *, settles: Sequence[str] = (), now: float
    ) -> None:
        """What was heard; what it cost counts into the person's day, in place of these reservations."""
        ...

    async def spoil(self, media_id: str, problem: FileProblem) -> None:
        """It turned out that it cannot be opened."""
        ...


class MadeFileStore(Protocol):
    """Files that tools made."""

    async def keep(self, person_id: str, message: TurnMessage, size: int, *, now: float) -> str:
        """Begin to keep a file of so many bytes that a tool made in answer to the message; its id.

        Exhausted MEDIA_FULL.
        """
        ...

    async def add_chunk(self, media_id: str, number: int, data: bytes) -> None:
        """Keep the next of its chunks, each of CHUNK_BYTES but the last. NotFound MEDIA_NOT_FOUND."""
        ...

    async def chunks(self, channel: str, media_id: str) -> int:
        """How many chunks a file has that went with a reply of this channel. NotFound MEDIA_NOT_FOUND."""
        ...
