"""/audio/transcriptions: checks the form as OpenAI does, and derives the transcript from the bytes.

Source: openai 3.54, types/audio/transcription_create_params.py.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from aiohttp import BodyPartReader, web

from emulators.openai.errors import refused

MOST_BYTES: Final = 25 * 1024 * 1024
SUFFIXES: Final = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
MODELS: Final = ("gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1")
_FIELDS: Final = frozenset({"model", "response_format", "language", "languages", "prompt", "keywords", "temperature"})
_AS_JSON: Final = "json"
SPOKEN: Final = b"spoken:"
"""After this marker a recording contains its transcript as plain text."""


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart/form-data body: the plain fields, and the file's name and bytes (None: no file)."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""
    data: bytes | None = None

    def as_json(self) -> dict[str, Any]:
        """The form as the vendor's `requests` keep it."""
        if self.data is None:
            return dict(self.fields)
        digest = hashlib.sha256(self.data).hexdigest()
        return self.fields | {"file": {"filename": self.filename, "size": len(self.data), "sha256": digest}}


FORM: Final = web.RequestKey("form", Form)


async def read_form(request: web.Request) -> Form:
    fields: dict[str, str] = {}
    filename, data = "", None
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        if part.name == "file":
            filename, data = part.filename or "", bytes(await part.read())
        elif part.name:
            fields[part.name] = await part.text()
    return Form(fields, filename, data)


def transcript(form: Form) -> dict[str, Any]:
    """The answer to a checked form. Raises RefusedError."""
    data = _checked(form)
    spoken = data.partition(SPOKEN)[2].decode(errors="replace")
    text = spoken or f"A recording of {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}."
    tokens = len(data) // 1000 + 1
    usage = {"type": "tokens", "input_tokens": tokens, "output_tokens": 12, "total_tokens": tokens + 12}
    return {"text": text, "languages": [{"code": "en"}], "usage": usage}


def _checked(form: Form) -> bytes:
    if unknown := next((name for name in form.fields if name.rstrip("[]") not in _FIELDS), None):
        raise refused(f"Unknown parameter: '{unknown}'.", param=unknown, code="unknown_parameter")
    if form.data is None:
        raise refused("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    if form.fields.get("model") not in MODELS:
        model = form.fields.get("model", "")
        raise refused(f"The model `{model}` does not exist.", status=404, param="model", code="model_not_found")
    if form.fields.get("response_format", _AS_JSON) != _AS_JSON:
        raise refused("response_format must be 'json'.", param="response_format", code="unsupported_value")
    if len(form.data) > MOST_BYTES:
        raise refused(f"Maximum content size limit ({MOST_BYTES}) exceeded.", status=413)
    if PurePosixPath(form.filename).suffix.lower().removeprefix(".") not in SUFFIXES:
        raise refused(f"Unrecognized file format. Supported formats: {list(SUFFIXES)}", param="file")
    if not form.data or form.data.startswith(b"broken"):
        raise refused("Audio file might be corrupted or unsupported", param="file", code="invalid_value")
    return form.data
