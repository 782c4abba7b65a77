"""A completion that arrives in chunks: its text at once, the whole of it at the end.

Source: openai 3.54, `types/chat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.models.chat_messages import REASONING, SIGNED
from kernel_service.models.openai_stream import StreamedAnswer
from kernel_service.models.text_teller import TextTeller
from kernel_service.models.thinking import SpokenPart
from kernel_service.storable import from_json, storable

if TYPE_CHECKING:
    from kernel_service.ports.model import TextListener

Chunk = dict[str, Any]


class StreamedCompletion(StreamedAnswer):
    """An answer of the chat endpoint; `listener` receives its text. Usage may arrive after the last piece."""

    def __init__(self, listener: TextListener) -> None:
        self._teller = TextTeller(listener)
        self._spoken = SpokenPart()
        self._texts: dict[str, str] = {}
        self._calls = _Calls()
        self._has_begun = False
        self._ended: str | None = None
        self._usage: Any = None
        self._error: Any = None

    def take(self, event: object) -> bool:
        if isinstance(event, dict) and event.get("object") == "error":  # vLLM
            self._error, self._ended = event, "error"
        elif isinstance(event, dict):
            self._usage = event.get("usage") or _of_groq(event) or self._usage
            choices = event.get("choices")
            for choice in choices if isinstance(choices, list) else ():
                if isinstance(choice, dict) and not choice.get("index"):
                    self._take(choice)
        return self._ended is not None

    def is_whole(self, *, marked: bool) -> bool:
        """Some servers send no finish_reason."""
        return self._has_begun and marked

    @property
    def response(self) -> dict[str, Any]:
        message: Chunk = {**self._texts, "tool_calls": self._calls.made}
        choice = {"message": message, "finish_reason": self._ended, "error": self._error}
        repaired: dict[str, Any] = storable({"choices": [choice], "usage": self._usage})
        return repaired

    def _take(self, choice: Chunk) -> None:
        self._has_begun = True
        self._error = choice.get("error") or self._error
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._grow(delta)
        ended = choice.get("finish_reason")
        if isinstance(ended, str) and ended and self._ended is None:
            self._ended = ended
            self._teller.tell(self._spoken.end())
            self._teller.end()

    def _grow(self, delta: Chunk) -> None:
        text = _text(delta.get("content"))
        self._add("content", text)
        self._teller.tell(self._spoken.take(text) if text else "")
        for name in ("refusal", *REASONING):
            self._add(name, _text(delta.get(name)))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._calls.take(call)

    def _add(self, name: str, text: str) -> None:
        if text:
            self._texts[name] = self._texts.get(name, "") + text


def _of_groq(event: Chunk) -> Any:
    groq = event.get("x_groq")
    return groq.get("usage") if isinstance(groq, dict) else None


def _text(content: Any) -> str:
    """The text of a content, without the parts that are reasoning."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part))
    return content if isinstance(content, str) else ""


def _is_text(part: Chunk) -> bool:
    return part.get("type", "text") == "text" and isinstance(part.get("text"), str)


class _Calls:
    """Incomplete calls. Servers leave the index out, use 0 for all, or send each call whole."""

    def __init__(self) -> None:
        self.made: list[Chunk] = []
        self._at: dict[object, Chunk] = {}

    def take(self, delta: Chunk) -> None:
        function = delta.get("function")
        of = function if isinstance(function, dict) else {}
        index = delta.get("index")
        call = self._at.get(index)
        if call is None or _begins_another(call, delta.get("id"), of):
            call = self._at[index] = {"id": delta.get("id"), "function": {"name": of.get("name"), "arguments": ""}}
            call |= {SIGNED: delta[SIGNED]} if SIGNED in delta else {}
            self.made.append(call)
        grown = call["function"]
        grown["name"] = grown["name"] or of.get("name")
        grown["arguments"] += _written(of.get("arguments"))


def _begins_another(call: Chunk, call_id: object, function: Chunk) -> bool:
    """Whether a name at the index of an earlier call begins another call.

    llama-cpp-python repeats name and id in each piece. Without ids, complete arguments end a call.
    """
    if not function.get("name") or not call["function"]["name"]:
        return False
    if call_id and call["id"]:
        return bool(call_id != call["id"])
    return _is_object(call["function"]["arguments"]) and bool(_written(function.get("arguments")).strip())


def _is_object(written: str) -> bool:
    try:
        return isinstance(from_json(written), dict)
    except ValueError:
        return False


def _written(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else orjson.dumps(arguments).decode()
