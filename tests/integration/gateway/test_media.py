"""Files that the kernel service requests: fetched from the emulated WhatsApp, checked, passed on or failed."""

import asyncio
import base64
import hashlib
from typing import Any, Self

import pytest
from google.rpc import code_pb2

from emulators.app import Emulators
from emulators.faults import matching
from emulators.whatsapp.media import RECEIVED_SECONDS, MediaFile
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from whatsapp_gateway.graph.media import GraphMedia, MediaDownload
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import MediaWanted
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher

DATA = hashlib.shake_128(b"file").digest(200_000)


def keep(emulators: Emulators, data: bytes = DATA, mime_type: str = "application/pdf") -> MediaFile:
    return emulators.whatsapp.files.keep(data, mime_type, RECEIVED_SECONDS)


async def acknowledged(kernel: FakeKernel) -> tuple[Any, str, float]:
    """Outcome, code and wait of the first acknowledgement."""
    await kernel.until(lambda: kernel.acks)
    ack = kernel.acks[0]
    assert (ack.media_id, ack.lease_token) == ("m_1", "lease-1")
    return ack.outcome, ack.error_code, ack.retry_after


async def test_a_file_is_passed_on_completely(gateway: Gateway, kernel: FakeKernel, emulators: Emulators) -> None:
    file = keep(emulators)
    kernel.want(file.id)
    await kernel.until(lambda: kernel.uploads)
    header, data = kernel.uploads[0]
    assert data == DATA
    assert (header.media_id, header.lease_token, header.mime_type) == ("m_1", "lease-1", "application/pdf")
    assert (header.size_bytes, header.sha256) == (len(DATA), file.digest)
    assert kernel.acks == []
    async with asyncio.timeout(30):  # the gateway counts it once it has the answer, which was just sent
        while await gateway.count('media_total{outcome="stored"}') != 1:
            await asyncio.sleep(0)


@pytest.mark.parametrize("written", ["hex", "base64"])
async def test_the_digest_is_checked_in_both_encodings(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    digest = hashlib.sha256(b"another").digest()
    told = digest.hex() if written == "hex" else base64.b64encode(digest).decode()
    monkeypatch.setattr(MediaFile, "digest", property(lambda _: Digest(told)))
    kernel.want(keep(emulators).id)
    assert (await acknowledged(kernel))[:2] == ("failed", "damaged")
    assert kernel.uploads == []
    downloads = emulators.effects.all("media_downloaded")
    assert len(downloads) == 2, "one damaged download may be a transmission error, two are not"


class Digest(bytes):
    """Writes itself as it was told to."""

    def __new__(cls, told: str) -> Self:
        made = super().__new__(cls)
        made.told = told
        return made

    told: str

    def hex(self, *_: Any) -> str:
        return self.told


async def test_the_webhooks_digest_is_checked_if_graph_gives_none(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MediaFile, "digest", property(lambda _: Digest("")))
    kernel.want(keep(emulators).id, sha256=hashlib.sha256(b"another").digest())
    assert (await acknowledged(kernel))[:2] == ("failed", "damaged")


async def test_a_picture_that_was_sent_as_a_document_may_be_as_large_as_one(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    kernel.want(keep(emulators, bytes(6_000_000), "image/jpeg").id, max_bytes=16_000_000)
    await kernel.until(lambda: kernel.uploads or kernel.acks)
    assert kernel.acks == []
    assert kernel.uploads[0][0].size_bytes == 6_000_000


@pytest.mark.parametrize("mime_type", ["image/png", "application/pdf"])
async def test_a_file_that_is_too_large_is_not_fetched(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, mime_type: str
) -> None:
    kernel.want(keep(emulators, bytes(1_000_001), mime_type).id, max_bytes=1_000_000)
    assert (await acknowledged(kernel))[:2] == ("failed", "too_large")
    assert emulators.effects.all("media_downloaded") == []


async def test_an_expired_id_fails_the_file(gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.want("1234567890123456")
    assert (await acknowledged(kernel))[:2] == ("failed", "expired")


async def test_an_expired_address_is_requested_once_more(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.media.faults.fail(401, match=matching(path="/attachments/"))
    kernel.want(keep(emulators).id)
    await kernel.until(lambda: kernel.uploads)


async def test_an_unreachable_address_fails_the_file(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.media.faults.fail(404, times=2, match=matching(path="/attachments/"))
    kernel.want(keep(emulators).id)
    assert (await acknowledged(kernel))[:2] == ("failed", "expired")


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "http_500"), (503, "http_503"), (0, "unreachable"), (429, "http_429"), (408, "http_408")],
)
@pytest.mark.parametrize("path", ["/media/", "/attachments/"])
async def test_a_transient_fault_is_retried_by_the_kernels_clock(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, *, path: str, status: int, code: str
) -> None:
    emulators.whatsapp.media.faults.fail(status, times=9, match=matching(path=path))
    kernel.want(keep(emulators).id)
    assert await acknowledged(kernel) == ("retry", code, 0)


@pytest.mark.parametrize("path", ["/media/", "/attachments/"])
async def test_a_file_is_fetched_again_at_the_time_that_whatsapp_names(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, *, path: str
) -> None:
    emulators.whatsapp.media.faults.fail(503, retry_after=7, match=matching(path=path))
    kernel.want(keep(emulators).id)
    assert await acknowledged(kernel) == ("retry", "http_503", 7)


async def test_a_refused_token_is_an_alert(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, caplog: pytest.LogCaptureFixture
) -> None:
    error = '{"error": {"message": "Invalid OAuth access token", "code": 190}}'
    emulators.whatsapp.media.faults.fail(401, body=error, match=matching(path="/media/"))
    kernel.want(keep(emulators).id)
    assert await acknowledged(kernel) == ("retry", "190", 30)
    assert "alert:" in caplog.text


@pytest.mark.parametrize(
    ("status", "reason", "outcome", "code"),
    [
        (code_pb2.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE", "failed", "too_large"),
        (code_pb2.NOT_FOUND, "MEDIA_NOT_FOUND", "failed", "media_not_found"),
        (code_pb2.RESOURCE_EXHAUSTED, "MEDIA_FULL", "retry", "media_full"),
        (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE", "retry", "store_unavailable"),
    ],
)
async def test_a_file_that_the_kernel_service_refuses_fails(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, *, status: int, reason: str, outcome: Any, code: str
) -> None:
    kernel.refusals["UploadMedia"] = lambda _: (status, reason)
    kernel.want(keep(emulators, bytes(900_000)).id)
    assert (await acknowledged(kernel))[:2] == (outcome, code)


async def test_an_upload_that_is_cut_off_is_retried(gateway: Gateway, kernel: FakeKernel, emulators: Emulators) -> None:
    kernel.cuts_uploads = True
    kernel.want(keep(emulators, bytes(900_000)).id)
    assert (await acknowledged(kernel))[0] == "retry"
    assert kernel.calls.count("UploadMedia") == 1, "replayed by the library, it aborts the process at times"


async def test_a_fetch_that_takes_too_long_is_cancelled() -> None:
    class Silent(GraphMedia):
        async def find(self, media_id: str) -> MediaDownload:
            await asyncio.Event().wait()
            raise AssertionError(media_id)

    metrics = Metrics()
    media = MediaFetcher(Silent(None, "https://a.b", "v1.0", "t"), None, metrics, seconds=0)  # type: ignore[arg-type]
    media.take(MediaWanted("m_1", "1", "lease-1", 10))
    async with asyncio.timeout(30):
        while not metrics.registry.get_sample_value("gateway_media_total", {"outcome": "late"}):
            await asyncio.sleep(0)
    media.take(MediaWanted("m_1", "1", "lease-2", 10))
    await asyncio.sleep(0)
    assert media._jobs["m_1"].wanted.lease_token == "lease-2"


async def test_few_files_are_fetched_at_once_and_the_newest_lease_counts(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    hold = emulators.whatsapp.media.faults.hold(matching(path="/attachments/"))
    file = keep(emulators)
    for number in range(10):
        kernel.want(file.id, f"m_{number}")
    await hold.reached.wait()
    for number in range(10):
        kernel.want(file.id, f"m_{number}", lease_token="lease-2")
    kernel.lease("hello", user_id="whatsapp:US.1")
    await kernel.until(lambda: kernel.acks)  # the leases came before this reply, which files do not delay
    hold.release()
    await kernel.until(lambda: len(kernel.uploads) == 10)
    assert {header.lease_token for header, _ in kernel.uploads} == {"lease-2"}
    assert len(emulators.effects.all("media_downloaded")) == 10


async def test_a_gateway_that_ends_releases_its_files(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    hold = emulators.whatsapp.media.faults.hold(matching(path="/attachments/"))
    kernel.want(keep(emulators).id)
    await hold.reached.wait()
    await gateway.stop()
    hold.release()
    assert await acknowledged(kernel) == ("retry", "stopping", 0.1)
