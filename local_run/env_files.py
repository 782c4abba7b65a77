"""Reads files of settings, as .env."""

from pathlib import Path

from dotenv import dotenv_values


def settings_in(file: Path) -> dict[str, str]:
    """Those that have a value; none if there is no file. Raises OSError, and ValueError for a file that is no text."""
    try:
        return {name: value for name, value in dotenv_values(file).items() if value}
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text: save it as UTF-8") from None
