"""Says in words for an operator how to correct a setting that pydantic refuses. It never shows the setting's value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WHOLE: Final = "must be a whole number"
_SENTENCES: Final = {
    "missing": "is missing: set it",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "bool_parsing": "must be true or false",
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_parsing": "must be a number",
    "string_pattern_mismatch": "must match {pattern}",
}
"""Sentences by pydantic's type of error. The values in braces come from the field's declaration."""


def what_to_do(error: ErrorDetails) -> str:
    """The sentence that follows the setting's name."""
    if sentence := _SENTENCES.get(error["type"]):
        return sentence.format_map(error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ")
