"""History items as messages of Chat Completions, in an order that strict servers and chat templates accept.

- Results follow the message with their calls at once: OpenAI, vLLM and Mistral refuse any other place.
- Roles alternate where a server asks for it: messages of one side in a row become one. Templates of Mistral and Gemma
  raise otherwise.
- Content is a text wherever no file is shown, and never null: llama-cpp-python and text-only servers refuse others.
- Ids of calls have nine letters and digits, as Mistral's templates ask.

Sources: openai 3.54 (`types/chat`), the chat templates of Mistral-Nemo and Gemma 3.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.openai_refusals import REPEATED_ROLES, SYSTEM_ROLE, TOOLS, UNSIGNED_CALLS
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

Message = dict[str, Any]
Item = dict[str, Any]

REASONING: Final = ("reasoning_content", "reasoning")
"""The names under which servers send a model's reasoning: DeepSeek, llama.cpp and vLLM; OpenRouter, Groq and Ollama."""
SIGNED: Final = "extra_content"
"""The signature that Gemini adds to a call, and wants back with it until the turn ends."""
SIGNATURES: Final = "signatures"
"""Of a reasoning item: the SIGNED of each call, by its id."""
_UNSIGNED: Final = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""For calls that Gemini did not make (ai.google.dev/gemini-api/docs/thought-signatures)."""
_ID_SIZE: Final = 9


def call_id_of(name: str) -> str:
    """The same id for the same name, of nine hexadecimal digits."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_SIZE]


def messages_of(items: Iterable[Item], part: Callable[[Item], Item], left_out: AbstractSet[str]) -> list[Message]:
    """`part` gives what is sent for a part that refers to a file.

    `left_out`: TOOLS, REPEATED_ROLES, UNSIGNED_CALLS, REASONING.
    """
    conversation = _Conversation(part, left_out)
    for item in items:
        conversation.add(item)
    return conversation.ended()


def instructed(messages: list[Message], instructions: str, left_out: AbstractSet[str]) -> list[Message]:
    """The messages after the instructions; where a server takes no SYSTEM_ROLE, the first message begins with them."""
    if SYSTEM_ROLE not in left_out:
        return [{"role": "system", "content": instructions}, *messages]
    if not messages or messages[0]["role"] != "user":
        return [{"role": "user", "content": instructions}, *messages]
    first, *others = messages
    return [first | {"content": both(instructions, first["content"])}, *others]


class _Conversation:
    """Messages so far, each with its calls, and the results of all calls."""

    def __init__(self, part: Callable[[Item], Item], left_out: AbstractSet[str]) -> None:
        self._part = part
        self._left_out = left_out
        self._messages: list[Message] = []
        self._results: dict[str, str] = {}
        self._signatures: dict[str, Any] = {}
        self._is_answered = False
        """Whether a result came after the calls of the last message."""

    def add(self, item: Item) -> None:
        match item.get("type", "message"):
            case "message" if item.get("role") == "assistant":
                self._say(_text_of(item.get("content")))
            case "message":
                self._add_person(item.get("content"))
            case "function_call" if TOOLS not in self._left_out:
                self._call(item)
            case "function_call_output":
                self._results[item["call_id"]] = _written(item.get("output"))
                self._is_answered = True
            case "reasoning":
                self._think(item)

    def ended(self) -> list[Message]:
        """The messages, with the results after the calls they belong to. A call without a result is left out."""
        told: list[Message] = []
        for message in self._messages:
            calls = [call for call in message.pop("calls", ()) if call["call_id"] in self._results]
            if calls:
                message["tool_calls"] = [self._signed(call) for call in calls]
            if calls or message["content"]:
                told.append(message)
                told += [_result(call["call_id"], self._results[call["call_id"]]) for call in calls]
        return told

    def _signed(self, call: Item) -> Item:
        made = _tool_call(call)
        signature = self._signatures.get(call["call_id"])
        if signature is None and UNSIGNED_CALLS in self._left_out:
            signature = _UNSIGNED
        return made if signature is None else made | {SIGNED: signature}

    def _add_person(self, content: Any) -> None:
        parts = [self._part(part) for part in content] if isinstance(content, list) else [_text_part(content)]
        content = _joined(parts)
        last = self._messages[-1] if self._messages else {}
        if last.get("role") == "user" and REPEATED_ROLES in self._left_out:
            last["content"] = both(last["content"], content)
        else:
            self._messages.append({"role": "user", "content": content})

    def _answer(self) -> Message:
        """The assistant's message that the next output belongs to."""
        last = self._messages[-1] if self._messages else {}
        if last.get("role") != "assistant" or (self._is_answered and "calls" in last):
            last = {"role": "assistant", "content": ""}
            self._messages.append(last)
            self._is_answered = False
        return last

    def _say(self, text: str) -> None:
        answer = self._answer()
        answer["content"] = "\n\n".join(filter(None, (answer["content"], text)))

    def _call(self, item: Item) -> None:
        self._answer().setdefault("calls", []).append(item)

    def _think(self, item: Item) -> None:
        for name in REASONING:
            if name not in self._left_out and isinstance(item.get(name), str):
                self._answer()[name] = item[name]
        signatures = item.get(SIGNATURES)
        if isinstance(signatures, dict):
            self._signatures |= signatures


def _tool_call(call: Item) -> Item:
    function = {"name": call["name"], "arguments": _arguments(call["arguments"])}
    return {"id": call_id_of(call["call_id"]), "type": "function", "function": function}


def _result(call_id: str, output: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id_of(call_id), "content": output}


def _arguments(written: str) -> str:
    """Servers parse the arguments for their template, and refuse the whole conversation if they are no object."""
    try:
        return written if isinstance(from_json(written), dict) else "{}"
    except ValueError:
        return "{}"


def _written(output: Any) -> str:
    return output if isinstance(output, str) else orjson.dumps(output).decode()


# --- content ----------------------------------------------------------------------------------------------------------


def text_part(text: str) -> Item:
    return {"type": "text", "text": text}


def _text_part(content: Any) -> Item:
    return text_part(content if isinstance(content, str) else "")


def _joined(parts: list[Item]) -> str | list[Item]:
    """One text if all are texts."""
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)


def both(first: str | list[Item], second: str | list[Item]) -> str | list[Item]:
    """Two contents as one."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [part for each in (first, second) for part in ([text_part(each)] if isinstance(each, str) else each)]


def _text_of(content: Any) -> str:
    """The words of an output message: its texts and refusals."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") or part.get("refusal") for part in content or () if isinstance(part, dict))
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
