"""The model's port on OpenAI's Responses API: stateless, one shared client, output items kept as they came.

Sources: openai 3.54 (`types/responses`), platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import orjson

from kernel_service.errors import VendorUnavailable
from kernel_service.messages import Usage
from kernel_service.models.person_said import in_words
from kernel_service.turns.model import FunctionCall, Model, ModelAnswer, ModelRejectedError, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

LEAST_OUTPUT_TOKENS = 16
"""What the vendor accepts as the least max_output_tokens."""


class OpenAIResponses(Model):
    """One client for the whole process. `timeout` bounds a question as a whole, in seconds."""

    def __init__(self, api_key: str, base_url: str, model: str, *, timeout: float = 120.0) -> None:
        self._model = model
        self._timeout = timeout
        # No retries here: the turn holds durably, and other people need the slot meanwhile.
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout, connect=10.0),
            http_client=openai.DefaultAioHttpClient(),
        )
        # Both would log addresses and, on DEBUG, what people say.
        for name in ("openai", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    @property
    def origin(self) -> str:
        return f"openai:{self._model}"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        return _answer(_response(await self._ask(orjson.dumps(self._body(request)))))

    def user_item(self, content: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": in_words(content)}],
        }

    def said_item(self, text: str) -> dict[str, Any]:
        # The vendor refuses a text of its own without annotations, and every request that has it in its history.
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "role": "assistant", "content": content}

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        return _call(item)

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    async def close(self) -> None:
        await self._client.close()

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "instructions": request.instructions,
            "input": list(request.items),
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

    async def _ask(self, body: bytes) -> bytes:
        """Bytes in, bytes out: the client would otherwise walk the whole history on the event loop."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post("/responses", content=body, cast_to=httpx2.Response)
                return await response.aread()
        except (openai.APIConnectionError, httpx2.TransportError, TimeoutError):
            raise VendorUnavailable("model_unavailable") from None
        except openai.APIStatusError as error:
            raise _refusal(error) from None


def _refusal(error: openai.APIStatusError) -> VendorUnavailable | ModelRejectedError:
    status = error.status_code
    retry_after = _retry_after(error.response.headers)
    if status in (401, 403):
        return VendorUnavailable("model_rejects_key", retry_after)
    if status == 429:  # noqa: PLR2004
        return VendorUnavailable("model_busy", retry_after)
    # 404: no such model (yet); an operator can mend it, so the message waits.
    if status in (404, 408, 409) or status >= 500:  # noqa: PLR2004
        return VendorUnavailable("model_unavailable", retry_after)
    code = error.code or f"http_{status}"
    log.warning("model refused the request status=%d code=%s", status, code)
    return ModelRejectedError(code)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None where absent or given as a date (the turn backs off by itself)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None


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
