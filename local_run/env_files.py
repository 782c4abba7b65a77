"""Reads files of settings, as .env."""

from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream


def settings_in(file: Path) -> dict[str, str]:
    """Those that have a value; none if there is no file.

    Raises OSError, and ValueError for a file that is no text, or whose lines are not all settings.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    if wrong := [str(_line(binding)) for binding in parse_stream(StringIO(text)) if binding.error]:
        raise ValueError(f"{file}: not of the form NAME=value, or a quote is not closed, in line {', '.join(wrong)}")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value}


def _line(binding: Binding) -> int:
    """Its original text begins with the blank lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
