"""Refusals in OpenAI's error format and OpenAI's wording."""

import re
from typing import Any

from pydantic_core import ErrorDetails

from emulators.vendor import RefusedError

_JSON_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
_EXPECTED = {
    "string_type": "a string",
    "bool_type": "a boolean",
    "int_type": "an integer",
    "float_type": "a decimal",
    "list_type": "an array of objects",
    "dict_type": "an object",
    "model_type": "an object",
}
_TYPE = ("Invalid type for '{param}': expected {expected}, but got {got} instead.", "invalid_type")
# By pydantic's error type: OpenAI's message and code.
_WORDS = {
    **dict.fromkeys(_EXPECTED, _TYPE),
    "extra_forbidden": ("Unknown parameter: '{param}'.", "unknown_parameter"),
    "missing": ("Missing required parameter: '{param}'.", "missing_required_parameter"),
    "string_too_long": (
        (
            "Invalid '{param}': string too long. Expected a string with maximum length {max_length}, "
            "but got a string with length {length} instead."
        ),
        "string_above_max_length",
    ),
    "too_long": (
        (
            "Invalid '{param}': array too long. Expected an array with maximum length {max_length}, "
            "but got an array with length {length} instead."
        ),
        "array_above_max_length",
    ),
    "greater_than_equal": (
        "Invalid '{param}': integer below minimum value. Expected a value >= {ge}, but got {value} instead.",
        "integer_below_min_value",
    ),
    "string_pattern_mismatch": (
        ("Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'."),
        "invalid_value",
    ),
}
# Names that pydantic adds to a location for the branch of a union. They are not part of the JSON path.
_BRANCHES = frozenset(
    {"text", "list", "option", "function", "allowed_tools", "input_text", "input_image", "input_file"}
    | {"output_text", "refusal", "json_schema", "json_object"}
)
_UNIONS = ("input", "content", "output", "format", "tool_choice")


def refused(
    message: str,
    *,
    status: int = 400,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> RefusedError:
    """A refusal: `status` is the HTTP status, `param` the JSON path of the fault."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return RefusedError(message, status, body)


def no_such_model(model: str) -> RefusedError:
    """A model that does not exist, or that the project may not use."""
    message = f"The model '{model}' does not exist or you do not have access to it."
    return refused(message, status=404, param="model", code="model_not_found")


def no_scope(path: str) -> RefusedError:
    """A restricted key. The form: github.com/microsoft/PowerToys/issues/32989."""
    scope = "api.model.read" if path.startswith("/models") else "model.request"
    return refused(
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you have the "
        "correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a "
        "restricted API key, that it has the necessary scopes.",
        status=401,
    )


def of_status(status: int) -> RefusedError:
    """OpenAI's error for a status that the request did not cause."""
    message, kind, code = {
        401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
        400: ("The request was rejected.", "invalid_request_error", None),
        402: (
            "Insufficient credits. Add more to go on.",  # language: ok - the vendor's
            "insufficient_credits",
            "insufficient_credits",
        ),
        403: ("Country, region, or territory not supported", "request_forbidden", "unsupported_country"),
        404: ("The requested resource was not found.", "invalid_request_error", None),
        408: ("Request timed out.", "timeout", None),
        413: ("Request entity too large.", "invalid_request_error", "request_too_large"),
        422: ("The request could not be processed.", "invalid_request_error", "unprocessable_entity"),
        429: ("Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"),
        503: ("The server is overloaded or not ready yet.", "service_unavailable_error", None),
    }.get(
        status,
        (
            "The server had an error while processing your request. Sorry about that!",  # language: ok - the vendor's
            "server_error",
            None,
        ),
    )
    return refused(message, status=status, kind=kind, code=code)


def of_shape(error: ErrorDetails, at: tuple[str | int, ...] = ()) -> RefusedError:
    """The first fault that pydantic found, in OpenAI's wording. `at` is the location of the checked part."""
    param = _path((*at, *error["loc"]))
    kind, value, ctx = error["type"], error["input"], error.get("ctx", {})
    if kind in ("literal_error", "union_tag_invalid", "union_tag_not_found"):
        return invalid_value(value.get("type") if isinstance(value, dict) else value, param, ctx)
    words, code = _WORDS.get(kind, ("Invalid '{param}': {problem}.", "invalid_value"))
    message = words.format(
        param=param,
        value=value,
        problem=error["msg"],
        length=len(value) if isinstance(value, str | list) else 0,
        expected=_EXPECTED.get(kind),
        got=_JSON_TYPES.get(type(value), "an object"),
        **{name: ctx.get(name) for name in ("max_length", "ge", "pattern")},
    )
    return refused(message, param=param, code=code)


def invalid_value(value: object, param: str, ctx: dict[str, Any]) -> RefusedError:
    *supported, last = re.findall("'[^']*'", str(ctx.get("expected_tags") or ctx.get("expected"))) or [""]
    values = f"{', '.join(supported)} and {last}" if supported else last
    tail = f" Supported values are: {values}." if values else ""
    return refused(f"Invalid value: '{value}'.{tail}", param=param, code="invalid_value")


def _path(loc: tuple[str | int, ...]) -> str:
    path = ""
    previous: str | int = ""
    for part in loc:
        branch = part in _BRANCHES and (isinstance(previous, int) or previous in _UNIONS)
        if isinstance(part, int):
            path += f"[{part}]"
        elif not branch:
            path += f".{part}" if path else part
        previous = part if not branch or part == "list" else ""
    return path
