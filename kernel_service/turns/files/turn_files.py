"""The files of a turn: which exist, their transcripts, and their form for the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.media.read_as import named
from kernel_service.ports.media import FileProblem, MediaState, ReadAs
from kernel_service.ports.model import ModelFile, ModelRejectedError
from kernel_service.turns.files.transcription import NotTranscribedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.ports.media import FileStore, StoredFile
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.files.transcription import Transcription
    from kernel_service.turns.spending.spending import Spending

log = logging.getLogger(__name__)


@dataclass(slots=True)
class TurnFiles:
    """The files of one turn's messages, in their state when the turn was opened."""

    store: FileStore
    transcription: Transcription
    spending: Spending
    clock: Callable[[], float]
    _names: dict[str, str] = field(init=False, default_factory=dict)
    _files: dict[str, StoredFile] = field(init=False, default_factory=dict)

    async def load(self, turn: Turn) -> None:
        """Read the state of the files from the store. A turn without files makes no request to it."""
        named = {media_id: message for message in turn.messages if (media_id := message.payload.media_id)}
        if named:
            self._names = {media_id: _filename(message) for media_id, message in named.items()}
            self._files = await self.store.find(list(named))

    @property
    def any(self) -> bool:
        """Whether a message of the turn has a file, also one whose record is gone: the model is told so."""
        return bool(self._names)

    # --- for the person and for the model -------------------------------------------------------------------------

    def problem(self, message: TurnMessage) -> FileProblem | None:
        """Why a message's file cannot be opened; None: it can, or the message has no file of a supported type."""
        media_id = message.payload.media_id
        return (self._problem(media_id) or None) if media_id else None

    def _problem(self, media_id: str) -> FileProblem:
        file = self._files.get(media_id)
        if file is None or file.state is MediaState.WANTED:
            return (file and file.problem) or FileProblem.UNAVAILABLE
        return file.problem

    async def transcribe(self) -> None:
        """Transcribe every recording, once. VendorUnavailable, for a bounded time."""
        for file in self.untranscribed:
            await self._transcribe(file)

    @property
    def untranscribed(self) -> list[StoredFile]:
        """The recordings that have no transcript yet."""
        return [
            file
            for file in self._files.values()
            if file.read_as is ReadAs.HEAR and file.state is MediaState.STORED and file.transcript is None
        ]

    async def _transcribe(self, file: StoredFile) -> None:
        try:
            recording = self._shown(file)
            text, _ = await self.transcription.transcribe(
                file.id, recording, lambda: self.spending.transcription(recording)
            )
        except NotTranscribedError:
            await self._note_problem(file, FileProblem.UNHEARD, "unheard")
        except ModelRejectedError as rejected:
            await self._note_problem(file, FileProblem.UNREADABLE, rejected.code)
        else:
            with self.spending.paid() as bill:
                await self.store.keep_transcript(file.id, text, bill.usage, settles=bill.settles, now=self.clock())
            self._files |= await self.store.find([file.id])

    def in_words(self, message: TurnMessage) -> Payload:
        """The payload for the model's history: a recording carries its transcript."""
        if not self._files:
            return message.payload
        sent, kept = message.payload.file, self._files.get(message.payload.media_id)
        if sent is None or kept is None or kept.transcript is None:
            return message.payload
        return message.payload.with_file(replace(sent, transcript=kept.transcript))

    def for_model(self) -> dict[str, ModelFile | str]:
        """The files by id, or a sentence that says why a file is missing."""
        return {
            media_id: self._shown(self._files[media_id])
            if (problem := self._problem(media_id)) is FileProblem.NONE
            else texts.attachments.FOR_MODEL[problem]
            for media_id in self._names
        }

    def _shown(self, file: StoredFile) -> ModelFile:
        filename = named(file.mime_type, self._names[file.id])
        return ModelFile(file.read_as, file.mime_type, filename, file.size, lambda: self._chunks(file))

    async def _chunks(self, file: StoredFile) -> AsyncIterator[bytes]:
        for number in range(file.chunks):
            yield await self.store.chunk(file.id, number)

    # --- files that the model refuses -----------------------------------------------------------------------------

    async def leave_out(self, rejected: ModelRejectedError) -> bool:
        """Continue without these files, since the model refuses the request. Returns False if there were none."""
        shown = [file for file in self._files.values() if not self._problem(file.id) and file.transcript is None]
        problem = FileProblem.TOO_LONG if rejected.code == "context_length_exceeded" else FileProblem.UNREADABLE
        for file in shown:
            await self._note_problem(file, problem, rejected.code)
        return bool(shown)

    async def _note_problem(self, file: StoredFile, problem: FileProblem, code: str) -> None:
        log.warning("file cannot be opened media=%s problem=%s code=%s", file.id, problem, code)
        await self.store.note_problem(file.id, problem)
        self._files |= await self.store.find([file.id])


def _filename(message: TurnMessage) -> str:
    return message.payload.file.filename if message.payload.file else ""
