"""A .env file whose comments, order and unknown lines stay as they are when settings change."""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Final

from dotenv.parser import Binding, parse_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+,=*~^-]*")
_COMMENT: Final = re.compile(r"[ \t]+#[^\n'\"]*$")
_WIDTH: Final = 100
_OWN: Final = "# Set by kernelctl init."
MODE: Final = 0o600


class ChangedMeanwhileError(Exception):
    """Another program has changed the file since it was read."""


class EnvFile:
    """The text of a file that may not exist yet. `example` is then the text to begin with."""

    def __init__(self, path: Path, example: str = "") -> None:
        self._path = path.resolve()  # a link stays a link
        self._read = _text(self._path)
        self.text = self._read if self._read is not None else example

    @property
    def exists(self) -> bool:
        return self._read is not None

    @property
    def is_changed(self) -> bool:
        return self.text != self._read

    def unreadable_lines(self) -> list[int]:
        """The numbers of lines that are neither settings nor comments, from 1."""
        return [binding.original.line for binding in self._bindings() if binding.error]

    def update(self, values: Mapping[str, str], comments: Mapping[str, str] | None = None) -> None:
        """Set each where it is set now, or below its commented example, or at the end, below its comment, if any.

        ValueError: see quoted().
        """
        for name, value in values.items():
            self._set(name, value, (comments or {}).get(name, ""))

    def write(self) -> Path | None:
        """Replace the file at once, or not at all. The path of the backup, if there was a file.

        Raises OSError and ChangedMeanwhileError. Both files are closed to others.
        """
        if _text(self._path) != self._read:  # also one that did not exist then
            raise ChangedMeanwhileError
        backup = None
        if self._read is not None:
            backup = self._unused(datetime.now(UTC).strftime("backup-%Y%m%d-%H%M%S"))
            _replace(backup, self._read)
        _replace(self._path, self.text)
        return backup

    def _unused(self, suffix: str) -> Path:
        path, number = self._path.with_name(f"{self._path.name}.{suffix}"), 1
        while path.exists():
            number += 1
            path = self._path.with_name(f"{self._path.name}.{suffix}-{number}")
        return path

    def _bindings(self) -> Iterator[Binding]:
        return parse_stream(StringIO(self.text, newline=""))

    def _set(self, name: str, value: str, comment: str) -> None:
        bindings = list(self._bindings())
        places = [place for place, binding in enumerate(bindings) if binding.key == name]
        line_end = "\r\n" if "\r\n" in self.text else "\n"
        if not places:
            self._add(name, value, comment, line_end)
            return
        strings = [binding.original.string for binding in bindings]
        if bindings[places[-1]].value != value:  # the last one counts
            strings[places[-1]] = _replaced(strings[places[-1]], name, value)
        self.text = "".join(strings)

    def _add(self, name: str, value: str, comment: str, line_end: str) -> None:
        line = f"{name}={quoted(value)}"
        example = re.search(rf"^#[ \t]?{name}=[^\r\n]*(?:\r?\n|\Z)", self.text, re.MULTILINE)
        if example:
            before = self.text[: example.end()]
            before += "" if before.endswith("\n") else line_end
            self.text = f"{before}{line}{line_end}{self.text[example.end() :]}"
            return
        if self.text and not self.text.endswith("\n"):
            self.text += line_end
        if _OWN not in self.text:
            self.text += f"{line_end if self.text else ''}{_OWN}{line_end}"
        told = [f"# {part}{line_end}" for part in textwrap.wrap(comment, _WIDTH, break_on_hyphens=False)]
        self.text += "".join([*told, line, line_end])


def quoted(value: str) -> str:
    """In a form that python-dotenv, Compose and shells read alike. ValueError: there is none."""
    if _BARE.fullmatch(value):
        return value
    if not value.isprintable():
        raise ValueError("has a line break or another character that cannot be printed")
    if "${" in value:
        raise ValueError("has ${, which is replaced by a variable's value")
    if value.endswith("\\") or "\\\\" in value:
        raise ValueError("ends with a backslash, or has two together, which are not read alike everywhere")
    if "'" not in value:
        return f"'{value}'"
    if not set(value) & set('"\\$`'):
        return f'"{value}"'
    raise ValueError("has both kinds of quotes, or a quote and one of \\ $ `: no form of .env holds it safely")


def _replaced(original: str, name: str, value: str) -> str:
    """A setting's line with another value. The lines before it, `export`, and a comment after it stay."""
    body = original.lstrip()
    before = original[: len(original) - len(body)]
    export = "export " if body.startswith("export") else ""
    stripped = body.rstrip("\r\n")
    comment = _COMMENT.search(stripped)
    return f"{before}{export}{name}={quoted(value)}{comment[0] if comment else ''}{body[len(stripped) :]}"


def _text(path: Path) -> str | None:
    """Raises OSError, and UnicodeDecodeError."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _replace(path: Path, text: str) -> None:
    """Durably, by a new file in the same folder."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - pathlib's names the same call
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
