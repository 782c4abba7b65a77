"""The model's port on OpenAI's Responses API: stateless, output items kept as they came, files in their place.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.errors import VendorUnavailable
from kernel_service.media.incoming import file_of
from kernel_service.media.opening import Opening
from kernel_service.messages import Usage
from kernel_service.models.body import Places
from kernel_service.models.person_said import in_words
from kernel_service.turns.model import FunctionCall, Model, ModelAnswer, ModelRejectedError, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.models.openai_client import OpenAIClient
    from kernel_service.turns.model import ModelFile

LEAST_OUTPUT_TOKENS = 16
"""What the vendor accepts as the least max_output_tokens."""


class OpenAIResponses(Model):
    """One for the whole process; the client stays its owner's."""

    def __init__(self, client: OpenAIClient, model: str) -> None:
        self._client = client
        self._model = model

    @property
    def origin(self) -> str:
        return f"openai:{self._model}"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        places = Places()
        answer = _answer(_response(await self._client.post("/responses", places.json(self._body(request, places)))))
        self._client.gate.spent(answer.usage.tokens)
        return answer

    def user_item(self, content: dict[str, Any]) -> dict[str, Any]:
        parts = [{"type": "input_text", "text": in_words(content)}, *_reference(content)]
        return {"type": "message", "role": "user", "content": parts}

    def said_item(self, text: str) -> dict[str, Any]:
        # The vendor refuses a text of its own without annotations, and every request that has it in its history.
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "role": "assistant", "content": content}

    def call_item(self, call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "function_call",
            "call_id": call_id,
            "name": name,
            "arguments": orjson.dumps(arguments).decode(),
        }

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        return _call(item)

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    def _body(self, request: ModelRequest, places: Places) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "instructions": request.instructions,
            "input": [_shown(item, request.files, places) for item in request.items],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": max(LEAST_OUTPUT_TOKENS, request.max_output_tokens),
            "safety_identifier": request.person_key,
            "prompt_cache_key": request.person_key,
        }
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    # Vendors' schemas seldom meet what strict mode asks for.
                    "strict": False,
                }
                for tool in request.tools
            ]
        return body


# --- files ------------------------------------------------------------------------------------------------------------

_REFERENCE: Final = "media"
"""The type of a part of ours: in the history it stands for a file, and never leaves as it is."""
_GONE: Final = "[The file itself is not at hand any more.]"


def _reference(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The content's file, if the model is to be shown it; what was heard is there in words."""
    _, fields = file_of(content) or ("", {})
    if "media_id" not in fields or "transcript" in fields:
        return []
    return [{"type": _REFERENCE, "media_id": fields["media_id"]}]


def _shown(item: dict[str, Any], files: Mapping[str, ModelFile | str], places: Places) -> dict[str, Any]:
    """The item as it is sent: each file that is at hand in its place, any other in words."""
    parts = item.get("content")
    if item.get("role") != "user" or not isinstance(parts, list) or parts[-1]["type"] != _REFERENCE:
        return item
    return item | {"content": [*parts[:-1], _part(files.get(parts[-1]["media_id"], _GONE), places)]}


def _part(file: ModelFile | str, places: Places) -> dict[str, Any]:
    if isinstance(file, str):
        return {"type": "input_text", "text": file}
    if file.opening is Opening.SEE:
        return {"type": "input_image", "image_url": places.data_url(file)}
    return {"type": "input_file", "filename": file.filename, "file_data": places.data_url(file)}


# --- what comes back --------------------------------------------------------------------------------------------------

_PASSING_FAILURES = (None, "server_error", "rate_limit_exceeded")


def _response(raw: bytes) -> dict[str, Any]:
    """A response that ended. A failure for good (a forbidden prompt, a broken image) is ModelRejectedError."""
    try:
        response = orjson.loads(raw)
        status, output, failure = response["status"], response["output"], response.get("error") or {}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise VendorUnavailable("model_unavailable") from None
    if status == "failed" and failure.get("code") not in _PASSING_FAILURES:
        raise ModelRejectedError(failure["code"])
    if status not in ("completed", "incomplete") or not isinstance(output, list):
        raise VendorUnavailable("model_unavailable")
    return dict(response)


def _answer(response: dict[str, Any]) -> ModelAnswer:
    try:
        items = _kept(response["output"])
        parts = [part for item in items if item["type"] == "message" for part in item["content"]]
        reason = (response.get("incomplete_details") or {}).get("reason")
        refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
        return ModelAnswer(
            items=items,
            text="\n\n".join(part["text"] for part in parts if part["type"] == "output_text"),
            usage=_usage(response.get("usage") or {}),
            calls=[_call(item) for item in items if item["type"] == "function_call"],
            refusal=refusal or ("content_filter" if reason == "content_filter" else ""),
            cut=reason == "max_output_tokens",
        )
    except (KeyError, TypeError, AttributeError):
        raise VendorUnavailable("model_unavailable") from None


def _kept(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All items, but reasoning at the very end of a cut answer: the vendor refuses it without what it led to."""
    end = len(output)
    while end and output[end - 1]["type"] == "reasoning":
        end -= 1
    return output[:end]


def _call(item: dict[str, Any]) -> FunctionCall:
    try:
        arguments = orjson.loads(item["arguments"])
    except orjson.JSONDecodeError:
        arguments = None
    return FunctionCall(item["call_id"], item["name"], arguments if isinstance(arguments, dict) else None)


def _usage(usage: dict[str, Any]) -> Usage:
    """Servers that only resemble OpenAI leave the details out, or send null."""
    return Usage(
        input_tokens=usage.get("input_tokens") or 0,
        cached_input_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
        model_calls=1,
    )
