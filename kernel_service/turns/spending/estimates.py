"""Estimates of the cost of a model request: before it is made, and if the vendor does not report its usage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service.ports.media import ReadAs
from kernel_service.ports.messages import Usage
from kernel_service.ports.spending import Estimate
from kernel_service.token_counts import tokens, utf8_tokens
from kernel_service.tool_schemas import size_of

if TYPE_CHECKING:
    from kernel_service.ports.model import ModelFile, ModelRequest

TYPICAL_OUTPUT_TOKENS: Final = 2_000
"""The tokens assumed for an answer with unreported usage, including reasoning."""
OUTPUT_PER_SECOND: Final = 100
"""The estimated most tokens that a model writes in a second."""
AUDIO_BYTES_PER_SECOND: Final = 2_000
"""Of a voice message: WhatsApp records with Opus at 16 kbit/s."""
CHARS_PER_SECOND: Final = 15
"""Of a voice that says a text."""
_BYTES_PER_TOKEN: Final = 3
_PICTURE_TOKENS: Final = 1_600
_DOCUMENT_TOKENS: Final = 60_000
_MOST_BELIEVED: Final = 10_000_000
"""More than any model reads or writes in one request."""


def of_request(request: ModelRequest) -> Estimate:
    most = request.max_output_tokens
    shown = tokens(request.instructions) + sum(map(utf8_tokens, request.items))
    shown += size_of(request.tools) // _BYTES_PER_TOKEN + sum(map(_file_tokens, request.files.values()))
    return Estimate(shown, min(most, TYPICAL_OUTPUT_TOKENS), most)


def of_recording(recording: ModelFile, tokens_per_second: int) -> Estimate:
    return Estimate((recording.size // AUDIO_BYTES_PER_SECOND + 1) * tokens_per_second)


def of_speech(text: str, tokens_per_second: int) -> Estimate:
    said = (len(text) // CHARS_PER_SECOND + 1) * tokens_per_second
    return Estimate(tokens(text), said, said)


def used_after(seconds: float, estimate: Estimate) -> Usage:
    """The estimated cost of a request that was abandoned after `seconds`."""
    written = estimate.output_tokens + int(max(0.0, seconds) * OUTPUT_PER_SECOND)
    written = min(written, estimate.most_output_tokens)
    return Usage(input_tokens=estimate.input_tokens, output_tokens=written, model_calls=1)


def completed(reported: Usage, estimate: Estimate, *, wrote: bool) -> Usage:
    """The reported usage, with estimates for missing or implausible values. `wrote`: an answer came.

    No part of a count exceeds the count.
    """
    if not 0 < reported.input_tokens <= _MOST_BELIEVED:
        reported = replace(reported, input_tokens=estimate.input_tokens, cached_input_tokens=0)
        wrote = True
    if not wrote <= reported.output_tokens <= _MOST_BELIEVED:
        reported = replace(reported, output_tokens=estimate.output_tokens, reasoning_tokens=0)
    return replace(
        reported,
        cached_input_tokens=min(reported.cached_input_tokens, reported.input_tokens),
        reasoning_tokens=min(reported.reasoning_tokens, reported.output_tokens),
    )


def is_plausible(reported: Usage) -> bool:
    """Whether reported usage needs no estimate."""
    return (
        0 < reported.input_tokens <= _MOST_BELIEVED
        and 0 < reported.output_tokens <= _MOST_BELIEVED
        and 0 <= reported.cached_input_tokens <= reported.input_tokens
        and 0 <= reported.reasoning_tokens <= reported.output_tokens
    )


def _file_tokens(file: ModelFile | str) -> int:
    if isinstance(file, str):
        return tokens(file)
    if file.read_as is ReadAs.SEE:
        return _PICTURE_TOKENS
    return min(file.size // _BYTES_PER_TOKEN, _DOCUMENT_TOKENS)
