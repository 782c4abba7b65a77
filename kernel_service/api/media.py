"""Converts requests for files, uploads and downloads between protobuf and the domain."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from kernel.v1 import media_pb2, outbox_pb2

from kernel_service.api import bounds, converters, outbox
from kernel_service.errors import CallerError, Stalled
from kernel_service.media.transfers import UploadHeader
from kernel_service.ports.media import MediaAck
from kernel_service.ports.outbox import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kernel_service.ports.media import MediaWanted

MOST_PIECE_BYTES = 1024 * 1024
DOWNLOAD_BYTES = 64 * 1024
SHA256_BYTES = 32
CUT_OFF_SECONDS = 0.05
DRAIN_SECONDS = 30.0
_OUTCOMES = {"retry": Outcome.RETRY, "failed": Outcome.FAILED}


def wanted(lease: MediaWanted) -> media_pb2.MediaWanted:
    return media_pb2.MediaWanted(
        media_id=lease.media_id,
        media_ref=lease.media_ref,
        address=lease.address,
        lease_token=lease.token,
        deadline=converters.timestamp(lease.deadline),
        max_bytes=lease.max_bytes,
        sha256=lease.sha256,
    )


def ack(given: outbox_pb2.Acknowledgement) -> MediaAck | None:
    """None if it is invalid."""
    outcome = _OUTCOMES.get(given.media.WhichOneof("result") or "")
    media_id, failure = given.media.media_id, outbox.failure_of(given.media)
    if outcome is None or not media_id or "\0" in media_id + given.lease_token + failure.error_code:
        return None
    return MediaAck(media_id, given.lease_token, outcome, failure.retry_after, failure.error_code)


def in_pieces(chunk: bytes) -> Iterator[bytes]:
    """Splits a chunk for DownloadMedia."""
    for start in range(0, len(chunk), DOWNLOAD_BYTES):
        yield chunk[start : start + DOWNLOAD_BYTES]


async def header(requests: AsyncIterator[media_pb2.UploadMediaRequest]) -> UploadHeader:
    """The first message of the stream."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("part") != "header":
        raise CallerError("FIELD_REQUIRED", "the first message of the stream must be the `header`", field="header")
    bounds.check(first)
    given = first.header
    if given.sha256 and len(given.sha256) != SHA256_BYTES:
        raise CallerError("FIELD_INVALID", "`sha256` must have 32 bytes", field="header.sha256")
    return UploadHeader(
        converters.plain(converters.required(given.media_id, "header.media_id"), "header.media_id"),
        converters.required(given.lease_token, "header.lease_token"),
        given.mime_type,
        given.size_bytes,
        given.sha256,
    )


async def drain(requests: AsyncIterator[media_pb2.UploadMediaRequest]) -> None:
    """Read the stream to its end: a gRPC client that is rejected while it writes does not receive the reason."""
    with suppress(TimeoutError, Stalled):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in requests:
                pass


async def pieces(requests: AsyncIterator[media_pb2.UploadMediaRequest], offer: UploadHeader) -> AsyncIterator[bytes]:
    """The chunks after the header.

    A call that its client has cut off first looks complete, and is cancelled a moment later. If neither size nor digest
    detects it, wait for that moment.
    """
    async for request in requests:
        if request.WhichOneof("part") != "chunk" or len(request.chunk) > MOST_PIECE_BYTES:
            raise CallerError("FIELD_INVALID", "after the header send chunks of 1 MiB at most", field="chunk")
        yield request.chunk
    if not (offer.size or offer.sha256):
        await asyncio.sleep(CUT_OFF_SECONDS)
