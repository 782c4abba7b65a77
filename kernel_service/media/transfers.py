"""Transfers of files: requests to channels, uploads, downloads of replies' files, and the deletion of old files."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service.errors import CallerError, Exhausted, StoreUnavailable
from kernel_service.media.inspection import Inspection, needs_password
from kernel_service.media.read_as import MOST_BYTES, effective_type, read_as_of, says_nothing
from kernel_service.ports.media import CHUNK_BYTES, FileProblem
from kernel_service.uncancelled import Uncancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kernel_service.ports.media import FileStore, MadeFileStore, MediaAck, MediaStore, MediaWanted, Upload
    from kernel_service.ports.outbox import AckResult, Puller

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 30.0
"""After this time a leased file that was neither uploaded nor failed is requested again. Chunks extend the lease."""
POLL_SECONDS: Final = 5.0
"""How often the store is asked without a notice of a wanted file: for lapsed leases, and other nodes' messages."""
UPLOADS_AT_ONCE: Final = 8
"""Of one channel. Each holds one chunk in memory; the others wait, and gRPC's flow control holds their senders."""


@dataclass(frozen=True, slots=True)
class UploadHeader:
    """The channel's description of the file that it uploads; empty or 0: not known."""

    media_id: str
    token: str
    mime_type: str = ""
    size: int = 0
    sha256: bytes = b""


class MediaTransfers:
    """One per process. `wake` is called with each person whose message no longer waits for its file.

    `uploads`: how many of a channel run at the same time.
    """

    def __init__(
        self,
        store: MediaStore,
        files: FileStore,
        made_files: MadeFileStore,
        clock: Callable[[], float],
        wake: Callable[[str], None],
        *,
        uploads: int = UPLOADS_AT_ONCE,
    ) -> None:
        self._store = store
        self._files = files
        self._made_files = made_files
        self._clock = clock
        self._wake = wake
        self._uploads: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(uploads))
        self._inspecting = asyncio.Lock()
        self._uncancelled = Uncancelled()
        self._polls_at: dict[str, dict[frozenset[str], float]] = {}
        """By channel, and by addresses that its streams serve: when the store is asked next."""

    # --- requests to channels -------------------------------------------------------------------------------------

    def wanted(self, channel: str) -> None:
        """An accepted message waits for its file."""
        self._polls_at.pop(channel, None)

    async def lease(self, puller: Puller, addresses: Sequence[str], limit: int) -> list[MediaWanted]:
        now, served = self._clock(), frozenset(addresses)
        current = {each: at for each, at in self._polls_at.get(puller.channel, {}).items() if at > now}
        if served in current:
            return []
        self._polls_at[puller.channel] = current | {served: now + POLL_SECONDS}
        leased = await self._store.lease(puller, addresses, limit=limit, seconds=LEASE_SECONDS, now=now)
        if leased:
            self.wanted(puller.channel)
        return leased

    async def leased_until(self, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        """As `MediaStore.leased_until`."""
        return await self._store.leased_until(leases)

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Release leases (id, token) that reached no channel."""
        if leases:
            await self._store.release(leases)
            self._polls_at.clear()

    async def settle(self, channel: str, acks: Sequence[MediaAck]) -> list[AckResult]:
        """Store the outcomes of files that a channel could not upload."""
        settled = await self._store.settle(channel, acks, now=self._clock())
        self.wanted(channel)  # the next attempt of a file may be due already
        for ack, each in zip(acks, settled, strict=True):
            if each.person_id:
                log.warning("file failed media=%s problem=%s person=%s", ack.media_id, ack.error_code, each.person_id)
                self._wake(each.person_id)
        return [each.result for each in settled]

    # --- uploads --------------------------------------------------------------------------------------------------

    async def take(self, channel: str, header: UploadHeader, pieces: AsyncIterator[bytes]) -> int:
        """Store a file's bytes; return their number. Idempotent. If the upload ends early, nothing is stored.

        NotFound MEDIA_NOT_FOUND, CallerError PAYLOAD_TOO_LARGE or FIELD_INVALID, Exhausted MEDIA_FULL.
        """
        async with self._uploads[channel]:
            upload = await self._store.begin_upload(channel, header.media_id, header.token, now=self._clock())
            if upload.stored is not None:
                return upload.stored
            try:
                return await self._keep(upload, header, pieces)
            except BaseException:
                with suppress(StoreUnavailable):  # the sweep deletes it
                    await self._uncancelled.run(self._store.drop_upload(upload))
                raise

    async def _keep(self, upload: Upload, header: UploadHeader, pieces: AsyncIterator[bytes]) -> int:
        mime_type = await self._agreed_type(upload, header)
        inspection = Inspection(upload.read_as, mime_type)
        count = await self._receive(upload, header, inspection, pieces)
        await self._end(upload, inspection, count)
        return inspection.size

    async def _agreed_type(self, upload: Upload, header: UploadHeader) -> str:
        """The type that the channel named last, if such a file is opened like the one that was announced."""
        mime_type = effective_type(header.mime_type, upload.filename)
        if says_nothing(header.mime_type) or mime_type == upload.mime_type:
            return upload.mime_type
        if read_as_of("document", mime_type, upload.filename) is upload.read_as:
            return mime_type
        await self._fail(upload, FileProblem.WRONG_TYPE)
        raise CallerError("FIELD_INVALID", "a file of this type is not the announced one", field="header.mime_type")

    async def _receive(
        self, upload: Upload, header: UploadHeader, inspection: Inspection, pieces: AsyncIterator[bytes]
    ) -> int:
        """Write the file chunk by chunk. Return the number of chunks."""
        await self._check_size(upload, header.size)
        count = 0
        async for chunk in _chunks(pieces):
            inspection.see(chunk)
            await self._check_size(upload, inspection.size)
            try:
                await self._store.add_chunk(upload, count, chunk, leased_until=self._clock() + LEASE_SECONDS)
            except Exhausted:
                await self._store.note_full(upload)
                raise
            count += 1
        if header.size and header.size != inspection.size:
            raise CallerError("FIELD_INVALID", "`size_bytes` is not that of the bytes", field="header.size_bytes")
        for given in (header.sha256, upload.sha256):
            if given and given != inspection.sha256:
                raise CallerError("FIELD_INVALID", "`sha256` is not that of the bytes", field="header.sha256")
        return count

    async def _check_size(self, upload: Upload, size: int) -> None:
        most = MOST_BYTES[upload.read_as]
        if size > most:
            await self._fail(upload, FileProblem.TOO_LARGE)
            raise CallerError("PAYLOAD_TOO_LARGE", f"a file like this may have {most} bytes at most", field="chunk")

    async def _end(self, upload: Upload, inspection: Inspection, count: int) -> None:
        problem = inspection.problem
        if not problem and inspection.may_be_locked and await self._is_locked(upload, count):
            problem = FileProblem.LOCKED
        person_id = await self._store.end_upload(upload, chunks=count, mime_type=inspection.mime_type, problem=problem)
        self._wake_if_any(person_id)

    async def _is_locked(self, upload: Upload, count: int) -> bool:
        """Whether the file needs a password. It is whole in memory only here, one file at a time."""
        async with self._inspecting:
            whole = b"".join([await self._files.chunk(upload.media_id, number) for number in range(count)])
            return await asyncio.to_thread(needs_password, whole)

    async def _fail(self, upload: Upload, problem: FileProblem) -> None:
        """A retry would not help, so the message stops waiting for the file."""
        person_id = await self._store.end_upload(upload, chunks=0, mime_type=upload.mime_type, problem=problem)
        log.warning("file refused media=%s problem=%s", upload.media_id, problem)
        self._wake_if_any(person_id)

    def _wake_if_any(self, person_id: str) -> None:
        if person_id:
            self._wake(person_id)

    # --- downloads ------------------------------------------------------------------------------------------------

    async def hand_out(self, channel: str, media_id: str) -> AsyncIterator[bytes]:
        """The chunks of a file that is sent with a reply of this channel. NotFound MEDIA_NOT_FOUND."""
        for number in range(await self._made_files.chunks(channel, media_id)):
            yield await self._files.chunk(media_id, number)

    # --- the sweep ------------------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Delete, step by step, the files that no open message and no reply needs."""
        more = True
        while more:
            more = bool(await self._store.sweep(now=self._clock()))


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in chunks of CHUNK_BYTES; the last one may be shorter."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)
