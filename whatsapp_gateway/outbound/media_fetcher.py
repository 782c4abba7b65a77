"""Files that people sent: downloaded from WhatsApp at the kernel service's request, and streamed to it."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from kernel_client.errors import KernelError
from serving.cancellation import cancel_and_wait
from whatsapp_gateway.graph.media import DownloadUrlExpiredError, GraphMedia, MediaDownload, MediaError
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import DeliveryOutcome, MediaWanted

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Each holds a few pieces of 64 KiB in memory; the others wait, and their leases are renewed."""
FETCH_SECONDS: Final = 90.0
"""The kernel service waits this long. Its deadline is on another machine's clock and is not used."""
CALL_SECONDS: Final = 5.0
RELEASE_SECONDS: Final = 0.1
RETRY_AFTER_ACCESS_ERROR: Final = 30.0


@dataclass(slots=True)
class _Job:
    wanted: MediaWanted
    task: asyncio.Task[None]
    ending: bool = False
    """Its result is known: a new lease starts another fetch."""


class MediaFetcher:
    """One fetch for each requested file, of at most `seconds`."""

    def __init__(
        self, graph: GraphMedia, kernel: KernelCalls, metrics: Metrics, *, seconds: float = FETCH_SECONDS
    ) -> None:
        self._graph = graph
        self._kernel = kernel
        self._metrics = metrics
        self._seconds = seconds
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._jobs: dict[str, _Job] = {}

    def take(self, wanted: MediaWanted) -> None:
        """Fetch a file; returns at once. A fetch in progress continues under the newer lease."""
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
        """Cancel the fetches in progress, and release their leases so that other processes can take them at once."""
        jobs, self._jobs = list(self._jobs.values()), {}
        await cancel_and_wait(*(job.task for job in jobs))
        await asyncio.gather(
            *(self._settle(job.wanted, DeliveryOutcome.RETRY, "stopping", RELEASE_SECONDS) for job in jobs)
        )

    # --- one file -----------------------------------------------------------------------------------------------

    async def _fetch_in_turn(self, media_id: str) -> None:
        async with self._slots:
            job = self._jobs[media_id]
            try:
                async with asyncio.timeout(self._seconds):
                    await self._fetch(job)
            except TimeoutError:
                self._metrics.media.labels("late").inc()
            except MediaError as error:
                await self._fail(job.wanted, error)
            except KernelError as refusal:
                await self._refused(job.wanted, refusal)
            except Exception as fault:  # noqa: BLE001 - the lease expires, and the fetch is retried
                logger.error("fault while fetching media %s: %s", media_id, type(fault).__name__)  # noqa: TRY400
            else:
                self._metrics.media.labels("stored").inc()

    async def _fetch(self, job: _Job) -> None:
        try:
            await self._try_twice(job)
        finally:
            job.ending = True

    async def _try_twice(self, job: _Job) -> None:
        """Try once more after an expired URL or damaged bytes."""
        try:
            return await self._pass_on(job)
        except DownloadUrlExpiredError:
            pass
        except MediaError as error:
            if error.code != "damaged":
                raise
        try:
            await self._pass_on(job)
        except DownloadUrlExpiredError:
            raise MediaError("expired") from None

    async def _pass_on(self, job: _Job) -> None:
        download = await self._graph.find(job.wanted.media_ref)
        # WhatsApp's own limits depend on how a file was sent and not on its type.
        if download.size > job.wanted.max_bytes:
            raise MediaError("too_large")
        async with self._graph.open(download.url) as pieces:
            known_by = replace(download, sha256=download.sha256 or job.wanted.sha256)
            await self._kernel.upload(job.wanted, known_by, _checked(pieces, known_by, job.wanted.max_bytes))

    # --- results --------------------------------------------------------------------------------------------

    async def _fail(self, wanted: MediaWanted, error: MediaError) -> None:
        self._metrics.media.labels("retry" if error.retryable else "failed").inc()
        logger.warning("media %s cannot be fetched: %s", wanted.media_id, error.code)
        if error.alert:
            self._metrics.alert("media", f"WhatsApp refuses to serve files: error {error.code}")
        outcome = DeliveryOutcome.RETRY if error.retryable else DeliveryOutcome.FAILED
        wait = max(error.wait, RETRY_AFTER_ACCESS_ERROR if error.alert else 0)
        await self._settle(wanted, outcome, error.code, wait)

    async def _refused(self, wanted: MediaWanted, refusal: KernelError) -> None:
        """A file that the kernel service rejects is final, unless the error is retryable."""
        self._metrics.kernel_errors.labels(refusal.reason).inc()
        self._metrics.media.labels("refused").inc()
        code = _PROBLEMS.get(refusal.reason, refusal.reason.lower())
        await self._settle(wanted, DeliveryOutcome.RETRY if refusal.retryable else DeliveryOutcome.FAILED, code)

    async def _settle(self, wanted: MediaWanted, outcome: DeliveryOutcome, code: str, seconds: float = 0) -> None:
        """Best effort: without it the lease expires, and the message waits until its deadline."""
        try:
            await self._kernel.fail_media(wanted, outcome, code, seconds, CALL_SECONDS)
        except KernelError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()


_PROBLEMS: Final = {"PAYLOAD_TOO_LARGE": "too_large", "FIELD_INVALID": "wrong_type"}


async def _checked(pieces: AsyncIterator[bytes], download: MediaDownload, most: int) -> AsyncIterator[bytes]:
    """The same pieces. Raises `MediaError` if they exceed the limit, or the announced size or digest differs."""
    digest, size = hashlib.sha256(), 0
    async for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > most:
            raise MediaError("too_large")
        yield piece
    if (download.size and size != download.size) or (download.sha256 and digest.digest() != download.sha256):
        raise MediaError("damaged")
