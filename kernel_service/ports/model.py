"""The model's port: what a turn asks of any model vendor, and what it gets back."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from kernel_service.ports.approvals import Decided
    from kernel_service.ports.media import ReadAs
    from kernel_service.ports.messages import Usage
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.resuming import Resumed

    TextListener = Callable[[str], None]
    """Is told a text piece by piece, in order; it never raises."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it. `parameters` is a JSON Schema of type object.

    `title` is what people are told it is called; empty: its name in words.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    title: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that the model is shown, or that is heard. `chunks` reads its bytes anew, `size` of them in all."""

    read_as: ReadAs
    mime_type: str
    filename: str
    size: int
    chunks: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message quotes. `ours`: the assistant said it. `time`: when it was said, in words; empty: not known."""

    payload: Payload = field(repr=False)
    ours: bool
    time: str = ""


@dataclass(frozen=True, slots=True)
class UserInput:
    """What the model is shown of one message, or of an event that the person brought about.

    `quote` is there if the message quotes something that is known. `time` says in a sentence in brackets when it was
    sent.
    """

    said: Payload | Resumed | Decided = field(repr=False)
    quote: Quote | None = None
    time: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to the model.

    `items` are history items in the vendor's own input form, oldest first. `person_key` is a hash that stands for
    the person at the vendor (rate limiting, abuse, cache). `files` are those that items refer to, by their ids, or
    in words why they are not there; any other is there no more.
    """

    instructions: str
    items: Sequence[dict[str, Any]]
    tools: Sequence[ToolSchema]
    person_key: str
    max_output_tokens: int
    files: Mapping[str, ModelFile | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model asks for. `arguments` is None where they were no JSON object."""

    call_id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the model said. `items` are the vendor's output items, verbatim, to be kept in the history.

    `text` joins what it says to the person; `refusal` is its refusal; `cut` tells that it ran out of output tokens.
    """

    items: list[dict[str, Any]]
    text: str
    usage: Usage
    calls: list[FunctionCall] = field(default_factory=list)
    refusal: str = ""
    cut: bool = False

    @property
    def filtered(self) -> bool:
        """Whether the vendor's filter has taken the answer: it may look at what was said long ago."""
        return self.refusal == FILTERED and not self.calls

    @property
    def says_nothing(self) -> bool:
        """Whether there is nothing in it for anybody: no call, no refusal, and no text that can be seen."""
        return not (self.calls or self.refusal or visible(self.text))


FILTERED: Final = "content_filter"
"""The refusal of an answer that the vendor's filter has taken."""


def visible(text: str) -> bool:
    return any(unicodedata.category(each)[0] not in "ZC" and each not in _BLANKS for each in text)


_BLANKS: Final = "\u2800\u3164\u115f\u1160\uffa0"
"""Letters and symbols that look like nothing."""


CONTEXT_TOO_LONG: Final = "context_length_exceeded"
"""The request is longer than the model reads."""
FOREIGN_REASONING: Final = "invalid_encrypted_content"
"""The request brings reasoning that the vendor cannot use: sealed for another key, or without what belongs to it."""
BAD_TOOL: Final = "invalid_function_parameters"
"""A tool of the request cannot be offered as it is."""


class ModelRejectedError(Exception):
    """The vendor will never accept this request as it is.

    `code` is one of the above, whatever the vendor calls it, else the vendor's own, of letters, digits and `_.-`.
    `param` is the JSON path of what it refuses, as `tools[3].parameters`; empty where it names none. `message` is the
    vendor's sentence: it may repeat what a person said, so it is never logged.
    """

    def __init__(self, code: str, *, param: str = "", message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.param = param
        self.message = message


class UnusableAnswerError(Exception):
    """What came is no answer: no JSON, no output, not finished. Another try may bring one; `usage` is what it cost."""

    def __init__(self, usage: Usage) -> None:
        super().__init__("the model's answer cannot be used")
        self.usage = usage


class Model(Protocol):
    """A model vendor."""

    @property
    def origin(self) -> str:
        """Vendor and model, as `openai:gpt-6-luna`: whose opaque reasoning may be shown to whom."""
        ...

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        """Ask once, or again without a parameter that the vendor does not know. What can be mended in the answer is.

        `listener` is told the text of the answer as it comes, if the vendor streams it; None: nobody watches. What it
        was told may differ from the answer's text, and an error may follow it.

        VendorUnavailable: ask again later. ModelRejectedError: ask differently. UnusableAnswerError: a few times.
        """
        ...

    def user_item(self, given: UserInput) -> dict[str, Any]:
        """The vendor's history item for what a person sent.

        It refers to a file by its `media_id`, and says a `transcript` in words; it never holds bytes. The time is a
        part of its own, so that the words stay as they are.
        """
        ...

    def said_item(self, text: str) -> dict[str, Any]:
        """The vendor's history item for words of the assistant that no model said."""
        ...

    def call_item(self, call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The vendor's history item for a call that no model asked for."""
        ...

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        """The call that an output item of type `function_call` asks for."""
        ...

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        """The vendor's history item for a tool's result."""
        ...

    def shortened(self, item: dict[str, Any], most: int, note: str) -> dict[str, Any]:
        """A result or message with `most` tokens of text in it, and `note` in place of the rest (token_counts.cut)."""
        ...


class TranscriptionMissingError(Exception):
    """The vendor transcribes nothing: it has no such path, or not that model. Its text is safe to log."""


class Transcriber(Protocol):
    """Whoever writes down what is said in a recording."""

    async def transcribe(self, recording: ModelFile) -> tuple[str, Usage]:
        """The words, empty if there are none. VendorUnavailable: ask again later. ModelRejectedError: not this one.

        TranscriptionMissingError: none at all.
        """
        ...
