"""The shape of a request to the Responses API, as far as the emulator offers it.

Source: openai 3.54, types/responses/response_create_params.py and response_compact_params.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Status = Literal["in_progress", "completed", "incomplete"]
Phase = Literal["commentary", "final_answer"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InputText(Strict):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: dict[str, str] | None = None


class InputImage(Strict):
    type: Literal["input_image"]
    detail: Literal["low", "high", "auto", "original"] = "auto"
    file_id: str | None = None
    image_url: str | None = None
    prompt_cache_breakpoint: dict[str, str] | None = None


class InputFile(Strict):
    type: Literal["input_file"]
    detail: Literal["auto", "low", "high"] | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: dict[str, str] | None = None


class OutputText(Strict):
    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]]
    logprobs: list[dict[str, Any]] | None = None


class Refusal(Strict):
    type: Literal["refusal"]
    refusal: str


def _text_or_list(value: object) -> str:
    return "text" if isinstance(value, str) else "list"


InputPart = Annotated[InputText | InputImage | InputFile, Field(discriminator="type")]
OutputPart = Annotated[OutputText | Refusal, Field(discriminator="type")]
InputContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[InputPart], Tag("list")], Discriminator(_text_or_list)
]
OutputContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[OutputPart], Tag("list")], Discriminator(_text_or_list)
]


class InputMessage(Strict):
    type: Literal["message"] = "message"
    role: Literal["user", "system", "developer"]
    content: InputContent
    status: Status | None = None
    id: str | None = None


class OutputMessage(Strict):
    type: Literal["message"] = "message"
    role: Literal["assistant"]
    content: OutputContent
    status: Status | None = None
    id: str | None = None
    phase: Phase | None = None


class FunctionCall(Strict):
    type: Literal["function_call"]
    call_id: str = Field(max_length=64)
    name: str = Field(max_length=128, pattern=r"^[a-zA-Z0-9_-]+$")
    arguments: str
    id: str | None = None
    status: Status | None = None
    caller: dict[str, str] | None = None
    namespace: str | None = None


class FunctionCallOutput(Strict):
    type: Literal["function_call_output"]
    call_id: str = Field(max_length=64)
    output: InputContent
    id: str | None = None
    status: Status | None = None


class Summary(Strict):
    type: Literal["summary_text"]
    text: str


class ReasoningText(Strict):
    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(Strict):
    type: Literal["reasoning"]
    id: str
    summary: list[Summary]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class CompactionItem(Strict):
    type: Literal["compaction"]
    encrypted_content: str
    id: str | None = None
    created_by: str | None = None


Item = InputMessage | OutputMessage | FunctionCall | FunctionCallOutput | ReasoningItem | CompactionItem
ITEMS: dict[str, type[Strict]] = {
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "reasoning": ReasoningItem,
    "compaction": CompactionItem,
}


class FunctionTool(Strict):
    type: Literal["function"]
    name: str = Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    output_schema: dict[str, Any] | None = None


class ChosenFunction(Strict):
    type: Literal["function"]
    name: str


class AllowedTools(Strict):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]


def _choice(value: object) -> str | None:
    if isinstance(value, str):
        return "option"
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("option")]
    | Annotated[ChosenFunction, Tag("function")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(_choice),
]


class PlainFormat(Strict):
    type: Literal["text", "json_object"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    name: str = Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextConfig(Strict):
    format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Strict):
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    mode: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ContextManagement(Strict):
    type: Literal["compaction"]
    compact_threshold: int | None = Field(default=None, ge=1000)


class PromptCacheOptions(Strict):
    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None
    prewarm: bool | None = None
    comparison_response_id: str | None = None


class StreamOptions(Strict):
    include_obfuscation: bool | None = None


Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class Base(Strict):
    """The common fields of /responses and /responses/compact. checks.py checks the items of `input` one by one."""

    model: str
    input: str | list[Any] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=64)
    prompt_cache_options: PromptCacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None


class CompactRequest(Base):
    pass


class CreateRequest(Base):
    background: bool | None = None
    context_management: list[ContextManagement] | None = None
    conversation: str | dict[str, str] | None = None
    include: list[Include] | None = None
    max_output_tokens: int | None = Field(default=None, ge=16)
    max_tool_calls: int | None = Field(default=None, ge=1)
    metadata: dict[str, Annotated[str, Field(max_length=512)]] | None = Field(default=None, max_length=16)
    parallel_tool_calls: bool | None = None
    prompt: dict[str, Any] | None = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = Field(default=None, max_length=128)
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    text: TextConfig | None = None
    tool_choice: ToolChoice | None = None
    tools: list[FunctionTool] | None = Field(default=None, max_length=128)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    top_p: float | None = Field(default=None, ge=0, le=1)
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
