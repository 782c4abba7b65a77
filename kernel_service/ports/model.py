"""The model's port: requests of a turn to any model vendor, and the answers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from kernel_service.storable import to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from kernel_service.ports.approvals import Decided
    from kernel_service.ports.media import ReadAs
    from kernel_service.ports.memory import Recalled
    from kernel_service.ports.messages import Usage
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.resuming import Resumed

    TextListener = Callable[[str], None]
    """Receives a text piece by piece, in order. It never raises."""


@dataclass(frozen=True, eq=False)
class ToolSchema:
    """A tool as the model sees it. `parameters` is a JSON Schema of type object, and is not changed afterwards.

    `title` is the name for people; empty: its name in words. A schema equals only itself, so that what is made of it
    can be found by it.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    title: str = ""

    @cached_property
    def parameters_json(self) -> bytes:
        """Encoded once, since every request of many people offers the tool."""
        return orjson.dumps(self.parameters)

    @cached_property
    def size(self) -> int:
        """Bytes of JSON in a request."""
        return len(to_json([self.name, self.description])) + len(self.parameters_json)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file for the model or for transcription. Each call of `chunks` reads its `size` bytes from the start."""

    read_as: ReadAs
    mime_type: str
    filename: str
    size: int
    chunks: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted content. `ours`: the assistant said it. `time`: when it was said, in words; empty: unknown."""

    payload: Payload = field(repr=False)
    ours: bool
    time: str = ""


@dataclass(frozen=True, slots=True)
class UserInput:
    """One message for the model, an event that the person caused, or what is remembered about them.

    `quote` is set if the message quotes known content. `time` says when it was sent, in a sentence in brackets.
    """

    said: Payload | Resumed | Decided | Recalled = field(repr=False)
    quote: Quote | None = None
    time: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to the model.

    `items` are history items in the vendor's own input form, oldest first, each as JSON in UTF-8. `person_key` is a
    hash that stands for the person at the vendor (rate limiting, abuse, cache). `files` maps the ids in items to files,
    or to a sentence that says why the file is missing. Any file that is not in it is no longer available. The vendor
    puts a compaction before its answer if it counts more than `compact_at` tokens in the request; 0: never.
    """

    instructions: str
    items: Sequence[bytes]
    tools: Sequence[ToolSchema]
    person_key: str
    max_output_tokens: int
    files: Mapping[str, ModelFile | str] = field(default_factory=dict)
    compact_at: int = 0


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model requests. `arguments` is None if they were not a JSON object."""

    call_id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """An answer of the model, complete when it is made. `items` are the vendor's output items, for the history.

    `text` joins its words to the person; `refusal` is its refusal; `cut` tells that it ran out of output tokens.
    `filtered`: the vendor's filter removed the answer, which may react to old items. `says_nothing`: it is empty, with
    no call, no refusal and no visible text. Then `flaw` says what it has instead, and is safe to log.
    """

    items: list[dict[str, Any]]
    text: str
    usage: Usage
    calls: list[FunctionCall] = field(default_factory=list)
    refusal: str = ""
    cut: bool = False
    flaw: str = ""
    filtered: bool = field(init=False)
    says_nothing: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filtered", self.refusal == FILTERED and not self.calls)
        object.__setattr__(self, "says_nothing", not (self.calls or self.refusal or visible(self.text)))


NOTHING_TO_TELL: Final = "[nothing]"
"""The answer to an event that the person does not want to be told of."""
FILTERED: Final = "content_filter"
"""The refusal in an answer that the vendor's filter removed."""


def visible(text: str) -> bool:
    return any(unicodedata.category(each)[0] not in "ZC" and each not in _BLANKS for each in text)


_BLANKS: Final = "\u2800\u3164\u115f\u1160\uffa0"
"""Letters and symbols that are invisible."""


CONTEXT_TOO_LONG: Final = "context_length_exceeded"
"""The request exceeds the context of the model."""
FOREIGN_REASONING: Final = "invalid_encrypted_content"
"""The request has sealed content that the vendor cannot use: of another key, or reasoning without what it led to."""
BAD_TOOL: Final = "invalid_function_parameters"
"""A tool of the request cannot be offered as it is."""


class ModelRejectedError(Exception):
    """The vendor will never accept this request as it is.

    `code` is one of the above for every vendor, else the vendor's own, of letters, digits and `_.-`.
    `param` is the JSON path of the refused value, as `tools[3].parameters`; empty if it names none. `message` is the
    vendor's sentence: it may repeat what a person said, so it is never logged.
    """

    def __init__(self, code: str, *, param: str = "", message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.param = param
        self.message = message


class UnusableAnswerError(Exception):
    """The answer is not JSON, has no output, or is not finished. A retry may succeed. `usage` is its cost.

    `flaw` says what is wrong with its form, and is safe to log.
    """

    def __init__(self, usage: Usage, flaw: str) -> None:
        super().__init__(flaw)
        self.usage = usage
        self.flaw = flaw


class Model(Protocol):
    """A model vendor."""

    @property
    def origin(self) -> str:
        """Vendor and model, as `openai:gpt-6-luna`. Sealed items are shown only to their own origin."""
        ...

    @property
    def compacts(self) -> bool:
        """Whether the vendor compacts a long request by itself. A vendor that does not is found out by one answer."""
        ...

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        """Ask once, or again without a parameter that the vendor does not know. Repairs the answer if possible.

        `listener` receives the text of the answer as it comes, if the vendor streams it; None: the turn has no watcher.
        The streamed text may differ from the answer's text, and an error may follow it.

        VendorUnavailable: retry later. ModelRejectedError: change the request. UnusableAnswerError: retry a few times.
        """
        ...

    def user_item(self, given: UserInput) -> dict[str, Any]:
        """The vendor's history item for a person's message.

        It refers to a file by its `media_id` and includes a `transcript` as words. It never holds bytes. The time is a
        separate part, so that the words stay unchanged.
        """
        ...

    def said_item(self, text: str) -> dict[str, Any]:
        """The vendor's history item for fixed words of the assistant."""
        ...

    def call_item(self, call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The vendor's history item for a call that no model requested."""
        ...

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        """The call that an output item of type `function_call` requests."""
        ...

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        """The vendor's history item for a tool's result."""
        ...

    def shortened(self, item: dict[str, Any], most: int, note: str) -> dict[str, Any]:
        """A result or message with at most `most` tokens of text, and `note` instead of the rest (token_counts.cut)."""
        ...


class TranscriptionMissingError(Exception):
    """The vendor has no transcription: no such path, or no such model. The text is safe to log."""


SPEECH_FAILED: Final = "speech_failed"
"""The problem of a text that was not said, while the vendor may say others."""


class Speaker(Protocol):
    """Says texts."""

    async def speak(self, text: str) -> bytes:
        """A voice message: Opus in OGG.

        VendorUnavailable: no text can be said now, or with SPEECH_FAILED this one. ModelRejectedError: this text is
        refused. UnusableAnswerError.
        """
        ...


class Transcriber(Protocol):
    """Transcribes recordings."""

    async def transcribe(self, recording: ModelFile) -> tuple[str, Usage]:
        """The words, empty if there are none.

        VendorUnavailable: retry later. ModelRejectedError: this recording is refused. TranscriptionMissingError: all
        recordings are refused.
        """
        ...
