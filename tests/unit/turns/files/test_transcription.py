"""Voice messages without transcription: a person waits for a limited time, and only once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.media import ReadAs
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelFile, ModelRejectedError, TranscriptionMissingError
from kernel_service.turns.files.transcription import (
    LONGEST_WAIT_SECONDS,
    PROBE_SECONDS,
    REST_SECONDS,
    NotTranscribedError,
    Transcription,
)
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def chunks() -> AsyncIterator[bytes]:
    yield b"note"


NOTE = ModelFile(ReadAs.HEAR, "audio/ogg", "a.ogg", 4, chunks)
AWAY = VendorUnavailable("transcription_unavailable")
MISSING = TranscriptionMissingError("404 http_404")


class Line:
    """Recordings in sequence, at times that the test sets. Implements Transcriber."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hearing = Transcription(self, self.clock)
        self.says: str | BaseException | asyncio.Event = ""
        self.asked = 0

    async def transcribe(self, recording: ModelFile) -> tuple[str, Usage]:
        self.asked += 1
        if isinstance(self.says, asyncio.Event):
            await self.says.wait()
            raise MISSING
        if isinstance(self.says, str):
            return self.says, Usage()
        raise self.says

    async def hear(
        self, media_id: str, says: str | BaseException | asyncio.Event = "words", *, after: float = 0.0
    ) -> str:
        self.clock.now += after
        self.says = says
        return (await self.hearing.transcribe(media_id, NOTE))[0]

    async def unheard(self, media_id: str, says: BaseException = AWAY, *, after: float = 0.0) -> int:
        """The number of requests to the vendor."""
        before = self.asked
        with pytest.raises(NotTranscribedError):
            await self.hear(media_id, says, after=after)
        return self.asked - before

    async def waits(self, media_id: str, says: BaseException = AWAY, *, after: float = 0.0) -> None:
        with pytest.raises(VendorUnavailable):
            await self.hear(media_id, says, after=after)

    async def interrupted(self, media_id: str) -> None:
        with pytest.raises(asyncio.CancelledError):
            await self.hear(media_id, asyncio.CancelledError())


async def test_short_failure_is_waited_for() -> None:
    line = Line()
    await line.waits("m1")
    await line.waits("m1", after=LONGEST_WAIT_SECONDS - 1)
    assert await line.hear("m1", after=0.5) == "words"


async def test_lasting_failure_is_waited_for_two_minutes() -> None:
    line = Line()
    await line.waits("m1")
    assert await line.unheard("m1", after=LONGEST_WAIT_SECONDS) == 1


async def test_single_failed_recording_does_not_affect_others() -> None:
    line = Line()
    await line.waits("m1")
    await line.unheard("m1", after=LONGEST_WAIT_SECONDS)
    assert await line.hear("m2") == "words"
    await line.waits("m3")


async def test_after_failures_later_recordings_are_not_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line()
    await line.waits("m1")
    await line.unheard("m1", after=LONGEST_WAIT_SECONDS)
    assert await line.unheard("m2") == 1
    assert [await line.unheard(f"m{number}", after=1) for number in range(3, 9)] == [0] * 6
    assert caplog.text.count("alert: recordings cannot be heard") == 1


async def test_after_a_pause_one_recording_probes_the_vendor() -> None:
    line, gate = Line(), asyncio.Event()
    assert await line.unheard("m1", MISSING) == 1
    assert await line.unheard("m2", MISSING) == 0
    probe = asyncio.create_task(line.hear("m3", gate, after=REST_SECONDS))
    while line.asked == 1:
        await asyncio.sleep(0)
    assert await line.unheard("m4") == 0
    gate.set()
    with pytest.raises(NotTranscribedError):
        await probe


async def test_success_resumes_transcription_for_all(caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    await line.unheard("m1", MISSING)
    assert await line.unheard("m2", MISSING, after=REST_SECONDS) == 1
    with caplog.at_level(logging.WARNING):
        assert await line.hear("m3", after=REST_SECONDS) == "words"
    assert await line.hear("m4") == "words"
    await line.waits("m5")
    assert "can be heard again" in caplog.text


async def test_cancelled_probe_is_repeated_by_the_next_recording() -> None:
    line = Line()
    await line.unheard("m1", MISSING)
    line.clock.now += REST_SECONDS
    await line.interrupted("m2")
    assert await line.hear("m3", after=PROBE_SECONDS) == "words"


async def test_interrupted_attempt_is_counted() -> None:
    """Messages during a hanging request interrupt each attempt, and the person still gets an answer."""
    line = Line()
    for _ in range(3):
        await line.interrupted("m1")
        line.clock.now += LONGEST_WAIT_SECONDS / 2
    assert await line.unheard("m1") == 1


async def test_hanging_vendor_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_service.turns.files.transcription.LONGEST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr("kernel_service.turns.files.transcription.LAST_TRY_SECONDS", 0.01)
    line = Line()
    with pytest.raises(VendorUnavailable):
        await line.hear("m1", asyncio.Event())
    with pytest.raises(NotTranscribedError):
        await line.hear("m1", asyncio.Event(), after=1.0)


async def test_time_in_the_queue_does_not_count_for_the_recording() -> None:
    line = Line()
    await line.waits("m1", Busy("model_busy", 5.0))
    await line.waits("m1", Busy("model_busy", 5.0), after=LONGEST_WAIT_SECONDS * 2)
    await line.waits("m1", after=LONGEST_WAIT_SECONDS * 2)


async def test_refused_recording_is_forgotten() -> None:
    line = Line()
    with pytest.raises(ModelRejectedError):
        await line.hear("m1", ModelRejectedError("invalid_value"))
    await line.waits("m2")
    await line.waits("m2", after=LONGEST_WAIT_SECONDS - 1)


async def test_old_failures_expire() -> None:
    line = Line()
    await line.waits("m1")
    await line.waits("m2", after=86_400)
