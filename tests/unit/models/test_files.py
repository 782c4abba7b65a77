"""Files reach the model's vendor chunk by chunk, each at its placeholder in the request."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import orjson
import pytest

from emulators.app import Emulators
from kernel_service.errors import StoreUnavailable, VendorUnavailable
from kernel_service.models.body import Body, Places
from kernel_service.models.openai_chat import OpenAIChat
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.models.openai_transcription_answers import LONGEST_WAIT
from kernel_service.models.openai_transcriptions import OpenAITranscriptions
from kernel_service.ports.media import ReadAs
from kernel_service.ports.model import ModelFile, ModelRejectedError, ModelRequest, TranscriptionMissingError, UserInput
from kernel_service.ports.payloads import Audio, Document, File, Image, Payload, Text
from tests.integration.files import VOICE, digest, pdf, png
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.models.openai_model import OpenAIModel


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators.start() as running:
        yield running


@pytest.fixture
async def client(emulators: Emulators) -> AsyncIterator[OpenAIClient]:
    client = OpenAIClient("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=30)
    yield client
    await client.close()


@pytest.fixture(params=[OpenAIResponses, OpenAIChat])
def model(client: OpenAIClient, request: pytest.FixtureRequest) -> OpenAIModel:
    model: OpenAIModel = request.param(client, "gpt-6-luna")
    return model


def a_file(
    data: bytes, read_as: ReadAs = ReadAs.SEE, mime_type: str = "image/png", name: str = "file", *, chunk: int = 1000
) -> ModelFile:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), chunk):
            yield data[start : start + chunk]

    return ModelFile(read_as, mime_type, name, len(data), chunks)


def asking(model: OpenAIModel, files: dict[str, ModelFile | str], *sent: Payload) -> ModelRequest:
    return ModelRequest(
        "Be brief.", [orjson.dumps(model.user_item(UserInput(each))) for each in sent], [], "k" * 32, 500, files
    )


def sent(media_id: str, kind: type[File] = Image, caption: str = "This?") -> Payload:
    return Payload(kind("image/png", media_id=media_id), caption=caption)


async def test_each_file_is_sent_at_its_placeholder(emulators: Emulators, model: OpenAIModel) -> None:
    bill = pdf("Rent")
    files: dict[str, ModelFile | str] = {
        "m_1": a_file(png(1)),
        "m_2": a_file(bill, ReadAs.READ, "application/pdf", "bill.pdf", chunk=777),
        "m_3": "[Attachment unavailable.]",
    }
    of_files = [sent("m_2", Document, "One"), sent("m_1", caption="Two"), sent("m_3"), sent("m_old")]
    answer = await model.answer(asking(model, files, *of_files, Payload(Text("Go"))))
    for words in (digest(png(1)), digest(bill), "begins “Rent”", "[Attachment unavailable.]", "not at hand any more"):
        assert words in answer.text
    sent_body = orjson.dumps(emulators.openai.requests[0].body).decode()
    assert '"filename":"bill.pdf"' in sent_body
    assert f"data:image/png;base64,{base64.b64encode(png(1)).decode()}" in sent_body


def test_the_history_holds_no_bytes_and_no_words_twice(model: OpenAIModel) -> None:
    assert model.user_item(UserInput(sent("m_1")))["content"] == [
        {"type": "input_text", "text": "[The person sent an image.]\nThis?"},
        {"type": "media", "media_id": "m_1"},
    ]
    heard = Payload(Audio("audio/ogg", voice=True, media_id="m_1", transcript="Hi"))
    assert model.user_item(UserInput(heard))["content"] == [{"type": "input_text", "text": "(voice) Hi"}]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("chunk", [1, 2, 1000])
async def test_the_length_is_known_before(size: int, chunk: int) -> None:
    data = hashlib.shake_128(b"x").digest(size)
    places = Places()
    body = places.body(orjson.dumps({"text": 'ä"\n', "url": places.data_url(a_file(data, chunk=chunk))}))
    made = b"".join([piece async for piece in body.chunks()])
    assert len(made) == body.length
    assert base64.b64encode(data) in made


async def test_a_file_never_stands_whole_in_the_request() -> None:
    """However large it is: what is made at a time is one chunk in base64."""
    places = Places()
    body = places.body(orjson.dumps([places.data_url(a_file(bytes(3_000_000), chunk=192 * 1024))]))
    assert max([len(piece) async for piece in body.chunks()]) == 256 * 1024


async def test_a_store_that_goes_away_in_mid_request_says_so(model: OpenAIModel) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        raise StoreUnavailable

    broken = ModelFile(ReadAs.SEE, "image/png", "file", 2000, chunks)
    with pytest.raises(StoreUnavailable):
        await model.answer(asking(model, {"m_1": broken}, sent("m_1")))


@pytest.mark.parametrize(
    "file",
    [
        a_file(b"no picture"),
        a_file(b"no pdf", ReadAs.READ, "application/pdf", "a.pdf"),
        a_file(pdf("x", password="p"), ReadAs.READ, "application/pdf", "a.pdf"),
        a_file(b"MZ", ReadAs.READ, "application/zip", "a.exe"),
    ],
)
async def test_a_file_that_the_vendor_cannot_open_is_rejected(model: OpenAIModel, file: ModelFile) -> None:
    with pytest.raises(ModelRejectedError):
        await model.answer(asking(model, {"m_1": file}, sent("m_1")))


# --- recordings -----------------------------------------------------------------------------------------------------


async def test_a_recording_in_words(emulators: Emulators, client: OpenAIClient) -> None:
    transcripts = OpenAITranscriptions(client, "gpt-transcribe")
    text, usage = await transcripts.transcribe(a_file(VOICE, ReadAs.HEAR, "audio/ogg", "file.ogg"))
    assert text == f"A recording of {digest(VOICE)}."
    assert (usage.input_tokens > 0, usage.output_tokens > 0, usage.model_calls) == (True, True, 1)
    assert emulators.openai.requests[0].body["model"] == "gpt-transcribe"


@pytest.mark.parametrize(("data", "name"), [(b"", "a.ogg"), (b"broken", "a.ogg"), (VOICE, "a.amr")])
async def test_a_recording_that_cannot_be_heard(client: OpenAIClient, data: bytes, name: str) -> None:
    with pytest.raises(ModelRejectedError):
        await OpenAITranscriptions(client, "gpt-transcribe").transcribe(a_file(data, ReadAs.HEAR, "audio/ogg", name))


NOTE = a_file(VOICE, ReadAs.HEAR, "audio/ogg", "a.ogg")


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"text": 3}', "null", "", '{"text": null}', "[" * 5000])
async def test_nonsense(emulators: Emulators, client: OpenAIClient, body: str) -> None:
    emulators.openai.fail(200, body=body)
    with pytest.raises(VendorUnavailable):
        await OpenAITranscriptions(client, "gpt-transcribe").transcribe(NOTE)


@pytest.mark.parametrize(
    "usage",
    [
        "null", "[]", "3", "{}", '{"type": "tokens"}', '{"type": "duration", "seconds": 4}', '{"input_tokens": -1}',
        f'{{"input_tokens": {10**30}, "output_tokens": "x"}}', '{"input_tokens": 1.5}',
    ],
)  # fmt: skip
async def test_an_unreadable_cost_withholds_no_words(emulators: Emulators, client: OpenAIClient, usage: str) -> None:
    emulators.openai.fail(200, body=f'{{"text": " half \\ud83d ", "usage": {usage}}}')
    text, spent = await OpenAITranscriptions(client, "gpt-transcribe").transcribe(NOTE)
    assert text == "half \ufffd"
    assert 0 <= spent.tokens <= 10**9


async def test_a_model_that_is_not_there_transcribes_nothing(client: OpenAIClient) -> None:
    with pytest.raises(TranscriptionMissingError):
        await OpenAITranscriptions(client, "gpt-hear").transcribe(NOTE)


NO_MODEL = "The model `whisper-9` does not exist"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (404, '{"detail": "Not Found"}', TranscriptionMissingError),
        (404, "404 page not found", TranscriptionMissingError),
        (405, '{"detail": "Method Not Allowed"}', TranscriptionMissingError),
        (410, "", TranscriptionMissingError),
        (501, '{"error": "not implemented"}', TranscriptionMissingError),
        (400, f'{{"error": {{"message": "{NO_MODEL}", "code": "model_not_found"}}}}', TranscriptionMissingError),
        (403, '{"error": {"message": "Project has no access", "code": "model_not_found"}}', TranscriptionMissingError),
        (400, '{"error": {"message": "no", "param": "model", "code": 400}}', TranscriptionMissingError),
        (422, '{"error": {"message": "Unknown model: whisper-9"}}', TranscriptionMissingError),
        (401, None, VendorUnavailable),
        (402, '{"error": {"message": "Pay", "code": "insufficient_credits"}}', VendorUnavailable),
        (403, None, VendorUnavailable),
        (408, None, VendorUnavailable),
        (409, "", VendorUnavailable),
        (429, None, VendorUnavailable),
        (500, None, VendorUnavailable),
        (502, "<html>", VendorUnavailable),
        (307, None, VendorUnavailable),
        (503, None, VendorUnavailable),
        (0, None, VendorUnavailable),
        (400, '{"error": {"message": "Audio file might be corrupted", "code": "invalid_value"}}', ModelRejectedError),
        (400, '{"error": "no"}', ModelRejectedError),
        (413, "<html>", ModelRejectedError),
        (415, '{"error": {"message": ["odd"], "code": {"a": 1}}}', ModelRejectedError),
    ],
)
async def test_the_meaning_of_a_refused_recording(
    emulators: Emulators, client: OpenAIClient, status: int, body: str | None, meaning: type[Exception]
) -> None:
    emulators.openai.fail(status, body=body, retry_after=7200)
    with pytest.raises(meaning) as caught:
        await OpenAITranscriptions(client, "gpt-transcribe").transcribe(NOTE)
    if isinstance(caught.value, VendorUnavailable) and status:
        assert caught.value.retry_after == LONGEST_WAIT
    # A problem with recordings does not stop requests to the model.
    hello = {"model": "gpt-6-luna", "input": "hello"}
    assert (await client.post("/responses", Body([orjson.dumps(hello)]))).startswith(b"{")
