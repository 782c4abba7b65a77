"""The meaning of a refusal by OpenAI, or by a server that speaks its wire: wait, or change the request.

The codes are OpenAI's (platform.openai.com/docs/guides/error-codes). Compatible servers send their own codes, a number,
or words alone; docs/reference/vendors.md lists what is known of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.errors import VendorUnavailable
from kernel_service.models.flaws import BAD_GENERATION
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import (
    BAD_TOOL,
    CONTEXT_TOO_LONG,
    FOREIGN_REASONING,
    ModelRejectedError,
    UnusableAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PAYMENT_REQUIRED: Final = 402
TOO_LARGE: Final = 413
TOO_MANY_REQUESTS: Final = 429
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_FIRST_CLIENT_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PARAM: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,128}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A received error. `code` and `param` are safe to log, `message` is not; all are empty if they were absent."""

    status: int
    code: str = ""
    param: str = ""
    message: str = ""
    kind: str = ""

    @classmethod
    def read(cls, status: int, body: object) -> Refusal:
        """From any JSON value: OpenAI's `error` object or its content, a text, FastAPI's `detail`, Gemini's list."""
        if isinstance(body, list) and body:
            body = body[0]
        if isinstance(body, dict) and isinstance(body.get("error"), dict | str):
            body = body["error"]
        if isinstance(body, str):
            return cls(status, message=body)
        if not isinstance(body, dict):
            return cls(status)
        inside = body.get("message")
        if isinstance(inside, dict) and "detail" in inside:  # Mistral
            body = inside
        if "detail" in body and "message" not in body:
            return cls._of_detail(status, body["detail"])
        return cls(
            status,
            code=_matching(_CODE, body.get("code")),
            param=_matching(_PARAM, body.get("param")),
            message=_text(body.get("message")),
            kind=_matching(_CODE, body.get("type")),
        )

    @classmethod
    def _of_detail(cls, status: int, detail: object) -> Refusal:
        first = detail[0] if isinstance(detail, list) and detail else detail
        if not isinstance(first, dict):
            return cls(status, message=_text(first))
        place = first.get("loc")
        path = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
        param = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path).lstrip(".")
        return cls(
            status,
            code=_matching(_CODE, first.get("type")),
            param=_matching(_PARAM, param),
            message=_text(first.get("msg") or first.get("message")),
        )

    def names(self, *codes: str) -> bool:
        return self.code in codes or self.kind in codes

    def says(self, words: re.Pattern[str]) -> bool:
        return bool(words.search(f"{own_words(self.message)} {self.kind} {self.code} {self.param}"))


_REPEATED_MESSAGES: Final = re.compile(r"\bmessages = \[.*", re.DOTALL)
_REPEATED_INPUT: Final = re.compile(r"(?:['\"]input['\"]: |\binput_value=).*")
"""The rest of a line: pydantic writes an error on one line, and escapes line breaks of the input."""


def own_words(message: str) -> str:
    """The message without the parts of the request that it repeats, as those of llama.cpp and pydantic do.

    A person's words in it must not decide what is left out for all people.
    """
    return _REPEATED_INPUT.sub("", _REPEATED_MESSAGES.sub("", message))


def _matching(form: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and form.fullmatch(value) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# --- the meaning ------------------------------------------------------------------------------------------------------

_UNPAID_CODES: Final = (
    "insufficient_quota", "insufficient_credits", "insufficient_balance", "insufficient_funds", "billing_not_active",
    "billing_hard_limit_reached", "billing_error", "account_deactivated", "credit_balance_too_low",
)  # fmt: skip
_UNPAID: Final = re.compile(r"exceeded your current quota|insufficient (?:credits?|balance|funds|quota)|"
                            r"credit balance is too low|billing hard limit", re.IGNORECASE)  # fmt: skip
_FLAGGED: Final = re.compile(r"\bflagged\b|\bmoderat|content[ _]?(?:policy|filter)|responsible ai", re.IGNORECASE)

_TOO_LONG_CODES: Final = (
    CONTEXT_TOO_LONG, "exceed_context_size_error", "context_window_exceeded", "request_too_large",
    "tokens_limit_reached", "input_too_long", "prompt_too_long", "max_tokens_exceeded",
)  # fmt: skip
_TOO_LONG: Final = re.compile(
    r"context[ _](?:length|window|size)|(?:maximum|max(?:imum)? prompt|model) (?:context|prompt) length|"
    r"(?:input|prompt|request|messages?)[^.]{0,40} (?:is|are|was|were) too (?:long|large)|"
    r"(?:prompt|request|request entity) too (?:long|large)|too many (?:input )?tokens|"
    r"token (?:count|limit)[^.]{0,40} exceed|"
    r"exceed[^.]{0,40}\btoken (?:count|limit)|input tokens exceed|reduce the length of|"
    r"tokens must be reduced|`inputs` tokens \+|prompt length \d+ is greater|"
    r"maximum number of (?:input )?tokens|exceeds the (?:limit|maximum) of \d+",
    re.IGNORECASE,
)
_TOO_LARGE_FOR_ITS_RATE: Final = re.compile(
    r"request too large|must be reduced|reduce the length|maximum context length|context_length_exceeded", re.IGNORECASE
)
"""A request of more tokens than a minute's limit is never accepted, however long it waits."""
_OF_THE_INPUT: Final = re.compile(r"input(?:$|[.\[](?!.*(?:call_id|\.id|\.name)$))")
_TOO_LONG_PARTS: Final = ("string_above_max_length", "array_above_max_length", "string_too_long", "too_long")

_REASONING: Final = re.compile(
    r"encrypted[ _]content|\brs_[0-9a-z]|\bitem\b.*\breasoning\b|\breasoning\b.*\bitems?\b|"
    r"'(?:reasoning|compaction)'.{0,40}supported values|value: '(?:reasoning|compaction)'|\bcompaction items?\b|"
    r"thought signature is not valid|thinking.{0,20}(?:signature|block)|signature.{0,20}thinking|"
    r"input\[\d+\].*\bsummary\b",
    re.IGNORECASE,
)
_TOOL: Final = re.compile(r"invalid schema for (?:function|tool)|invalid function (?:parameters|schema)", re.IGNORECASE)
_NO_MODEL: Final = re.compile(r"\bmodels?\b.{0,80}(?:does not exist|not found|not exist|is not available)",
                              re.IGNORECASE)  # fmt: skip
_NO_LOADED_MODEL: Final = re.compile(r"\bno models? (?:is |are )?(?:currently )?loaded", re.IGNORECASE)
_LOST_MODEL: Final = re.compile(
    r"failed to load (?:the )?model|\bmodel (?:is |was |has been )?unloaded|\bmodel has crashed", re.IGNORECASE
)
"""Words of LM Studio, with status 400."""
_NO_PATH: Final = re.compile(r"unexpected endpoint or method", re.IGNORECASE)
"""Words of LM Studio, with status 200."""
_BAD_KEY: Final = re.compile(r"api[ _]key (?:is )?(?:not valid|invalid|expired)", re.IGNORECASE)
"""Words of Gemini, with status 400."""
_BAD_GENERATION: Final = re.compile(
    r"failed to call a function|tool call validation failed|failed to parse (?:input at pos|tool call arguments)|"
    r"unexpected tokens remaining in message header|unexpected token \d+ while expecting start token",
    re.IGNORECASE,
)
"""Words of Groq, llama.cpp and vLLM: the model wrote a call that its server cannot read."""
_BAD_GENERATION_CODES: Final = ("tool_use_failed", "output_parse_failed")
_KEY_STATUSES: Final = (401, 403)
_TOLD_STATUS: Final = re.compile(r"\b(?:error|status) code:? ([45]\d\d)\b", re.IGNORECASE)
"""A gateway repeats the status of the server behind it."""
_PASSING_STATUSES: Final = (404, 408, 409, 423, 425)
_PASSING_CODES: Final = ("server_error", "rate_limit_exceeded", "slow_down", "server_is_overloaded", "overloaded_error")


def meaning_of(
    refusal: Refusal, retry_after: float | None = None
) -> VendorUnavailable | ModelRejectedError | UnusableAnswerError:
    """VendorUnavailable: repeat the request later. ModelRejectedError: only a changed request can succeed.

    UnusableAnswerError: the model answered, and its server refused the answer.
    """
    if refusal.names(*_BAD_GENERATION_CODES) or refusal.says(_BAD_GENERATION):
        return UnusableAnswerError(Usage(model_calls=1), BAD_GENERATION)
    if problem := _of_the_account(refusal):
        return VendorUnavailable(problem, retry_after)
    if code := _lack(refusal) or _canonical(refusal):
        return _rejected(refusal, code)
    if problem := _passing(refusal):
        return VendorUnavailable(problem, retry_after)
    return _rejected(refusal, refusal.code or f"http_{refusal.status}")


def _of_the_account(refusal: Refusal) -> str:
    """The problem that an operator has to fix; empty: address and account are right."""
    if refusal.status in _KEY_STATUSES and not refusal.says(_FLAGGED):
        return "model_rejects_key"
    if refusal.status == _FIRST_CLIENT_ERROR and refusal.says(_BAD_KEY):
        return "model_rejects_key"
    if refusal.says(_NO_PATH):
        return "model_path_missing"
    if refusal.status in _REDIRECTS:
        return "model_moved"
    unpaid = refusal.status == PAYMENT_REQUIRED or refusal.names(*_UNPAID_CODES) or refusal.says(_UNPAID)
    return "model_unpaid" if unpaid else ""


def _passing(refusal: Refusal) -> str:
    """Why the same request may be accepted later; empty: it never is."""
    status = refusal.status
    if refusal.names("model_not_found") or (refusal.param in ("", "model") and refusal.says(_NO_MODEL)):
        return "model_not_found"
    if refusal.says(_NO_LOADED_MODEL):
        return "model_not_found"
    if refusal.says(_LOST_MODEL):
        return "model_unavailable"
    if status == TOO_MANY_REQUESTS:
        return "model_busy"
    if status in _PASSING_STATUSES:
        return "model_unavailable"
    return "" if _FIRST_CLIENT_ERROR <= status < _FIRST_SERVER_ERROR else "model_unavailable"


def _lack(refusal: Refusal) -> str:
    """The code of LACKS, with any status; empty: it is another problem."""
    return next((code for code, (words, _) in LACKS.items() if refusal.says(words)), "")


def _canonical(refusal: Refusal) -> str:
    """The port's code for a problem that a turn can fix, with any status; empty: it is another problem."""
    if refusal.names(BAD_TOOL) or refusal.param.startswith("tools[") or refusal.says(_TOOL):
        return BAD_TOOL
    if refusal.names(FOREIGN_REASONING) or (refusal.status < _FIRST_SERVER_ERROR and refusal.says(_REASONING)):
        return FOREIGN_REASONING if not unsupported(refusal) else ""
    if refusal.status == TOO_MANY_REQUESTS and not refusal.says(_TOO_LARGE_FOR_ITS_RATE):
        return ""
    if refusal.status == TOO_LARGE or refusal.names(*_TOO_LONG_CODES) or refusal.says(_TOO_LONG):
        return CONTEXT_TOO_LONG
    if refusal.names(*_TOO_LONG_PARTS) and _OF_THE_INPUT.match(refusal.param):
        return CONTEXT_TOO_LONG
    return ""


def _rejected(refusal: Refusal, code: str) -> ModelRejectedError:
    return ModelRejectedError(code, param=refusal.param, message=refusal.message)


# --- parts that a server does not accept ------------------------------------------------------------------------------

TOOLS: Final = "tools"
IMAGES: Final = "images"
FILES: Final = "files"
REPEATED_ROLES: Final = "repeated roles"
SYSTEM_ROLE: Final = "system role"
UNSIGNED_CALLS: Final = "unsigned calls"
LACKS: Final = {
    "unsupported_tools": (
        re.compile(
            r"(?:not|n't) support (?:tools?\b|tool[ _-](?:use|call)|function[ _-]call)|support tool use|"
            r"`?(?:tool|function)[ _-]call(?:ing|s)?`? (?:is|are) not supported|tools param requires|"
            r"tool choice requires|(?:not support parameters: \[[^\]]*|supplied: |parameter: )'?tools'?(?![\w.\[])",
            re.IGNORECASE,
        ),
        frozenset({TOOLS}),
    ),
    "unsupported_images": (
        re.compile(
            r"images? (?:inputs? )?(?:is|are) not supported|(?:not|n't) support (?:images?|vision|multimodal)\b|"
            r"not a multimodal model|at most 0 image|support image input|missing data required for image|"
            r"content part type[^a-z]{0,5}image_url|unknown variant .?image_url",
            re.IGNORECASE,
        ),
        frozenset({IMAGES}),
    ),
    "unsupported_files": (
        re.compile(
            r"(?:unknown|unsupported|invalid) (?:content )?part type[^a-z]{0,5}(?:input_)?file\b|"
            r"unknown variant .?file\b|\bfiles? (?:inputs? )?(?:is|are) not supported|"
            r"(?:not|n't) support (?:files?|documents?|pdfs?)\b",
            re.IGNORECASE,
        ),
        frozenset({FILES}),
    ),
    "unsupported_unsigned_calls": (
        re.compile(r"missing a `?thought_signature", re.IGNORECASE),
        frozenset({UNSIGNED_CALLS}),
    ),
    "unsupported_order": (
        re.compile(r"roles must alternate|must alternate between|consecutive (?:user|assistant|messages)|"
                   r"multiple .{0,20}messages in a row", re.IGNORECASE),
        frozenset({REPEATED_ROLES}),
    ),
    "unsupported_system": (
        re.compile(r"system role (?:is )?not supported|not support (?:the )?(?:'?system'? role|system messages?)|"
                   r"only user and assistant roles are supported", re.IGNORECASE),
        frozenset({SYSTEM_ROLE}),
    ),
    "unsupported_parts": (
        re.compile(r"content'? ?:?[^.]{0,20} must be a string|unsupported content\[\]\.type|"
                   r"content[^.]{0,60}input should be a valid string|should be a valid string.{0,60}\bcontent\b",
                   re.IGNORECASE),
        frozenset({IMAGES, FILES}),
    ),
}  # fmt: skip
"""Codes for parts that a server refuses from all people: its words, and the part that they concern.

Sources: ggml-org/llama.cpp#15377 and #12947, vllm-project/vllm#10078, ollama/ollama#8345, studio-dots-ai/dots.ocr#61.
"""


def lacking(code: str) -> frozenset[str]:
    return LACKS[code][1] if code in LACKS else frozenset()


# --- parameters that a server does not accept -------------------------------------------------------------------------

_LIMITS: Final = ("max_output_tokens", "max_tokens", "max_completion_tokens")
_PARAMETERS: Final = (
    "reasoning", "reasoning_effort", "reasoning_content", "include", "prompt_cache_key", "safety_identifier", *_LIMITS,
    "stream_options", "stream", "store", "context_management",
)  # fmt: skip
"""The parameters of all endpoints. Each endpoint decides which of them may be left out."""

_NOT_TAKEN: Final = re.compile(
    r"un(?:known|supported|recogni[sz]ed|expected)|not (?:supported|permitted|allowed|recogni[sz]ed)|"
    r"does(?:n't| not) (?:support|exist)|extra (?:fields|inputs)|too (?:large|high)|"
    r"must be (?:less|at most)|maximum value",
    re.IGNORECASE,
)
_NOT_TAKEN_CODES: Final = (
    "unknown_parameter", "unsupported_parameter", "unsupported_value", "integer_above_max_value", "extra_forbidden"
)  # fmt: skip
_COUNTS_OUTPUT: Final = re.compile(
    r"in the completion|\bmax_(?:output_|completion_)?tokens\b.{0,40}too large|output tokens must be reduced",
    re.IGNORECASE,
)
"""Some servers add the answer's limit to the context. Without the parameter the answer may fill the rest."""
_PROMPT_ALONE: Final = re.compile(r"length is (\d+) tokens.{0,80}\((\d+) in the (?:messages|prompt)", re.IGNORECASE)
_NO_ENCRYPTED_CONTENT: Final = re.compile(r"encrypted content is not supported", re.IGNORECASE)
_NAMED: Final = {
    name: re.compile(rf"(?:['\"`]|supplied: |parameters?\S*:? |\bmessages\S*\.){name}(?:\.\w+)?\b")
    for name in _PARAMETERS
}


def unsupported(refusal: Refusal | ModelRejectedError, optional: Collection[str] = _PARAMETERS) -> str:
    """The one of `optional` that the server does not accept, or not with this value; empty: none of them."""
    root, _, inner = refusal.param.replace("[", ".").partition(".")
    if root == "messages":
        root = inner.rpartition(".")[2]  # reasoning that goes back to a server
    if root and root not in optional:
        return ""
    message = own_words(refusal.message)
    if _counts_output(message):
        return next((name for name in _LIMITS if name in optional), "")
    is_taken = refusal.code not in _NOT_TAKEN_CODES and not _NOT_TAKEN.search(message)
    if is_taken and root != "context_management":
        return ""  # a `safety_identifier` may also be refused for what its person did
    if root:
        return root
    if "include" in optional and _NO_ENCRYPTED_CONTENT.search(message):
        return "include"
    return next((name for name in optional if _NAMED[name].search(message)), "")


def may_repeat(refusal: ModelRejectedError, names: Collection[str], items: Iterable[bytes]) -> bool:
    """Whether the words that named these parts are also words of the conversation, given as JSON.

    Then the server may have repeated them in a form that own_words does not know.
    """
    patterns = [LACKS[refusal.code][0]] if refusal.code in LACKS else [_NAMED[name] for name in names]
    message = own_words(refusal.message)
    said = [orjson.dumps(found.group())[1:-1] for pattern in patterns if (found := pattern.search(message))]
    return any(words in item for item in items for words in said)


def _counts_output(message: str) -> bool:
    """Whether the limit of the answer made the request too long, and not the prompt alone."""
    if not (_COUNTS_OUTPUT.search(message) and _TOO_LONG.search(message)):
        return False
    alone = _PROMPT_ALONE.search(message)
    return alone is None or int(alone[2]) < int(alone[1])


def read_failure(response: dict[str, Any]) -> Refusal | None:
    """The error that a response with HTTP 200 reports; None: it reports none."""
    error = response.get("error")
    if not error or (response.get("status") != "failed" and isinstance(response.get("output"), list)):
        return None
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and not isinstance(code, bool):  # OpenRouter and llama.cpp: the HTTP status
        return Refusal.read(code, error)
    refusal = Refusal.read(_FIRST_CLIENT_ERROR, error)
    if told := _TOLD_STATUS.search(refusal.message):
        return Refusal.read(int(told[1]), error)
    passes = not code or code in _PASSING_CODES
    return Refusal.read(_FIRST_SERVER_ERROR, error) if passes else refusal


def bare_error(response: dict[str, Any]) -> dict[str, Any] | None:
    """The error that a response with HTTP 200 is itself, as those of vLLM, FastAPI and some gateways."""
    is_error = response.get("object") == "error" or "detail" in response or {"code", "message"} <= response.keys()
    return response if is_error and not {"output", "choices"} & response.keys() else None
