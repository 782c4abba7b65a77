"""The shape of a request to Chat Completions, as far as the emulator offers it.

Source: openai 3.54, types/chat.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from emulators.openai.wire import FunctionTool, Strict


class TextPart(Strict):
    type: Literal["text"]
    text: str


class RefusalPart(Strict):
    type: Literal["refusal"]
    refusal: str


class ImageUrl(Strict):
    url: str
    detail: Literal["low", "high", "auto"] | None = None


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class FileData(Strict):
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class FilePart(Strict):
    type: Literal["file"]
    file: FileData


def _text_or_list(value: object) -> str:
    return "text" if isinstance(value, str) else "list"


Part = Annotated[TextPart | ImagePart | FilePart | RefusalPart, Field(discriminator="type")]
Content = Annotated[Annotated[str, Tag("text")] | Annotated[list[Part], Tag("list")], Discriminator(_text_or_list)]


class CalledFunction(Strict):
    name: str = Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    arguments: str


class ToolCall(Strict):
    id: str = Field(max_length=64)
    type: Literal["function"]
    function: CalledFunction
    extra_content: dict[str, Any] | None = None
    """Gemini's."""


class Message(Strict):
    """Of any role; chat_input.py checks what each role may have.

    `reasoning_content` and `reasoning` are not OpenAI's: servers of reasoning models take them back.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = Field(default=None, min_length=1)
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class OfferedFunction(Strict):
    name: str = Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def as_tool(self) -> FunctionTool:
        return FunctionTool(type="function", **self.model_dump())


class OfferedTool(Strict):
    type: Literal["function"]
    function: OfferedFunction


class ChatStreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Strict):
    messages: list[Message] = Field(min_length=1)
    model: str
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    metadata: dict[str, str] | None = None
    n: Literal[1] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=64)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    safety_identifier: str | None = Field(default=None, max_length=128)
    seed: int | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    tool_choice: Literal["none", "auto", "required"] | None = None
    tools: list[OfferedTool] | None = Field(default=None, max_length=128, min_length=1)
    top_p: float | None = Field(default=None, ge=0, le=1)
    user: str | None = None
