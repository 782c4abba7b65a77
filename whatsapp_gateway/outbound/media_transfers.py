"""Files that people sent: fetched from WhatsApp when the kernel service wants them, passed on piece by piece."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from whatsapp_gateway.graph.media import AddressLapsedError, GraphMedia, MediaError, Place
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.deliveries import MediaWanted, Outcome

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Each holds a few pieces of 64 KiB; the others wait, and their leases are made anew."""
FETCH_SECONDS: Final = 90.0
"""As long as the kernel service waits. Its deadline is on another machine's clock and is not used."""
CALL_SECONDS: Final = 5.0
HAND_BACK_SECONDS: Final = 0.1
HALT_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Job:
    wanted: MediaWanted
    task: asyncio.Task[None]
    ending: bool = False
    """What became of it is known; a lease that comes now is of a fetch to come."""


class Media:
    """One fetch for each file that is wanted, which takes so many seconds at most."""

    def __init__(
        self, graph: GraphMedia, kernel: KernelClient, metrics: Metrics, *, seconds: float = FETCH_SECONDS
    ) -> None:
        self._graph = graph
        self._kernel = kernel
        self._metrics = metrics
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._jobs: dict[str, _Job] = {}

    def take(self, wanted: MediaWanted) -> None:
        """Fetch a file; returns at once. What is being fetched already goes on, under the newer lease."""
        if (job := self._jobs.get(wanted.media_id)) is not None and not job.ending:
            job.wanted = wanted
            return
        task = asyncio.create_task(self._fetch_in_turn(wanted.media_id))
        job = self._jobs[wanted.media_id] = _Job(wanted, task)
        job.task.add_done_callback(lambda _: self._forget(wanted.media_id, job))

    def _forget(self, media_id: str, job: _Job) -> None:
        if self._jobs.get(media_id) is job:
            del self._jobs[media_id]

    async def stop(self) -> None:
        """Let go of what is under way, so that others may have it at once."""
        jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs), return_exceptions=True)
        await asyncio.gather(*(self._settle(job.wanted, Outcome.RETRY, "stopping", HAND_BACK_SECONDS) for job in jobs))

    # --- one file -----------------------------------------------------------------------------------------------

    async def _fetch_in_turn(self, media_id: str) -> None:
        async with self._room:
            job = self._jobs[media_id]
            try:
                async with asyncio.timeout(self._seconds):
                    await self._fetch(job)
            except TimeoutError:
                self._metrics.media.labels("late").inc()
            except MediaError as error:
                await self._fail(job.wanted, error)
            except KernelCallError as refusal:
                await self._refused(job.wanted, refusal)
            except Exception as fault:  # noqa: BLE001 - the lease lapses, and it is tried again
                logger.error("fault while fetching media %s: %s", media_id, type(fault).__name__)  # noqa: TRY400
            else:
                self._metrics.media.labels("stored").inc()

    async def _fetch(self, job: _Job) -> None:
        try:
            await self._try_twice(job)
        finally:
            job.ending = True

    async def _try_twice(self, job: _Job) -> None:
        """An address that has lapsed, or bytes that came damaged, are asked for once more."""
        try:
            return await self._pass_on(job)
        except AddressLapsedError:
            pass
        except MediaError as error:
            if error.code != "damaged":
                raise
        try:
            await self._pass_on(job)
        except AddressLapsedError:
            raise MediaError("expired") from None

    async def _pass_on(self, job: _Job) -> None:
        place = await self._graph.find(job.wanted.media_ref)
        # WhatsApp keeps to its own limits, which go by how a file was sent and not by its type.
        if place.size > job.wanted.max_bytes:
            raise MediaError("too_large")
        async with self._graph.open(place.url) as pieces:
            known_by = replace(place, sha256=place.sha256 or job.wanted.sha256)
            await self._kernel.upload(job.wanted, known_by, _checked(pieces, known_by, job.wanted.max_bytes))

    # --- how it ends --------------------------------------------------------------------------------------------

    async def _fail(self, wanted: MediaWanted, error: MediaError) -> None:
        self._metrics.media.labels("retry" if error.passing else "failed").inc()
        logger.warning("media %s cannot be fetched: %s", wanted.media_id, error.code)
        if error.alert:
            self._metrics.alert("media", f"WhatsApp refuses to hand out files: error {error.code}")
        outcome = Outcome.RETRY if error.passing else Outcome.FAILED
        await self._settle(wanted, outcome, error.code, HALT_SECONDS if error.alert else 0)

    async def _refused(self, wanted: MediaWanted, refusal: KernelCallError) -> None:
        """What the kernel service does not take it will not take later either, unless it says so."""
        self._metrics.refusals.labels(refusal.reason).inc()
        self._metrics.media.labels("refused").inc()
        code = _PROBLEMS.get(refusal.reason, refusal.reason.lower())
        await self._settle(wanted, Outcome.FAILED if refusal.final else Outcome.RETRY, code)

    async def _settle(self, wanted: MediaWanted, outcome: Outcome, code: str, seconds: float = 0) -> None:
        """Best effort: without it the lease lapses, and at the deadline nobody waits any more."""
        try:
            await self._kernel.fail_media(wanted, outcome, code, seconds, CALL_SECONDS)
        except KernelCallError as refusal:
            self._metrics.refusals.labels(refusal.reason).inc()


_PROBLEMS: Final = {"PAYLOAD_TOO_LARGE": "too_large", "FIELD_INVALID": "wrong_type"}


async def _checked(pieces: AsyncIterator[bytes], place: Place, most: int) -> AsyncIterator[bytes]:
    """The same pieces. MediaError once there are too many, or they are not what they were said to be."""
    digest, size = hashlib.sha256(), 0
    async for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > most:
            raise MediaError("too_large")
        yield piece
    if (place.size and size != place.size) or (place.sha256 and digest.digest() != place.sha256):
        raise MediaError("damaged")
