"""The answers of `/audio/transcriptions`: words and their cost, or the reason why there are none.

None of them says anything about the model that answers people: one voice message must not block the others.
Sources: openai 3.54 (`types/audio`); servers that speak the wire in part: docs/reference/vendors.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelRejectedError, TranscriptionMissingError
from kernel_service.storable import from_json

LONGEST_WAIT: Final = 30.0
"""The vendor's Retry-After delays a recording by at most this number of seconds."""
MOST_TOKENS: Final = 10**9
_MOST_SECONDS: Final = 86_400

_UNAVAILABLE: Final = "transcription_unavailable"
# No such path, not with POST, gone, not built. OpenAI tells a missing model with 404, others with 400 or 403.
_MISSING: Final = (404, 405, 410, 501)
_PASSING: Final = (401, 402, 403, 407, 408, 409, 423, 425, 429)
_FIRST_CLIENT_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_NO_MODEL: Final = re.compile(
    r"\bmodel\b.{0,120}(?:not (?:exist|found|available|supported)|unknown|no access)|unknown model|invalid model",
    re.IGNORECASE | re.DOTALL,
)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class VendorTranscript:
    """The words, and their cost in tokens or in seconds of audio, as the vendor reports it; 0: it does not."""

    text: str
    usage: Usage
    seconds: float = 0.0

    def cost(self, tokens_per_second: int) -> Usage:
        if self.usage.tokens or not self.seconds:
            return self.usage
        return replace(self.usage, input_tokens=math.ceil(self.seconds * tokens_per_second))


def read_transcript(raw: bytes) -> VendorTranscript:
    """VendorUnavailable: it is not a valid answer."""
    try:
        answer = from_json(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise VendorUnavailable(_UNAVAILABLE, unanswered=True)
    usage = answer.get("usage")
    return _transcript(answer["text"].strip(), usage if isinstance(usage, dict) else {})


def _transcript(text: str, usage: dict[str, Any]) -> VendorTranscript:
    """Models that are billed by the second report no tokens, other servers report nothing."""
    tokens = Usage(
        input_tokens=_count(usage.get("input_tokens")), output_tokens=_count(usage.get("output_tokens")), model_calls=1
    )
    return VendorTranscript(text, tokens, _seconds(usage.get("seconds")))


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value <= _MOST_SECONDS else 0.0


def _count(value: Any) -> int:
    return min(max(value, 0), MOST_TOKENS) if isinstance(value, int) else 0


def transcription_refusal(status: int, body: object, retry_after: float | None) -> Exception:
    """The meaning of a refusal: none at all, not now, or not this recording. `body` is the value of `error`."""
    of = body if isinstance(body, dict) else {}
    code, param, message = (of.get(name) for name in ("code", "param", "message"))
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else f"http_{status}"
    no_model = param == "model" or (isinstance(message, str) and _NO_MODEL.search(message) is not None)
    if status in _MISSING or code == "model_not_found" or (status < _FIRST_SERVER_ERROR and no_model):
        return TranscriptionMissingError(f"{status} {code}")
    if status in _PASSING or not _FIRST_CLIENT_ERROR <= status < _FIRST_SERVER_ERROR:
        return VendorUnavailable(_UNAVAILABLE, retry_after and min(retry_after, LONGEST_WAIT))
    return ModelRejectedError(code)
