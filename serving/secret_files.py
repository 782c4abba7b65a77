"""Secrets from files: a secret setting X is also read from the file that X_FILE names, once, at the start.

A setting is secret if its field is a `SecretStr`, or a list of them. No error shows a file's content, nor the value of
X_FILE: it may be the secret itself, by mistake.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

MOST_BYTES: Final = 64 * 1024


def file_setting(name: str) -> str:
    """The setting that names the file of a secret setting."""
    return f"{name}_FILE"


def secret_from(environ: Mapping[str, str], name: str) -> str | None:
    """The content of the file that X_FILE names, without the line break at its end; None: X_FILE is unset or empty.

    Raises ValueError, whose text follows the name X. It says what is wrong with X_FILE.
    """
    given = file_setting(name)
    path = environ.get(given)
    if not path:
        return None
    if environ.get(name):
        raise ValueError(f"and {given} are both set: remove one of them")
    try:
        return _secret(_read(path))
    except ValueError as problem:
        raise ValueError(f"cannot be taken from the file that {given} names: {problem}") from None


def _read(path: str) -> bytes:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - before it is opened: a pipe would wait for its writer
        if stat.S_ISDIR(mode):
            raise ValueError("it is a folder; name a file in it")
        if not stat.S_ISREG(mode):
            raise ValueError("it is a device or a pipe; name a regular file")
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ValueError("it does not exist; a relative path begins at the working folder") from None
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror}); let user {os.geteuid()} read it") from None


def _secret(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024} KiB; name a file with the secret alone")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text; save it as UTF-8") from None
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark; save it as UTF-8 without one")
    if "\r" in text:
        raise ValueError("it has Windows line ends; save it with Unix ones")
    secret = text.rstrip("\n")
    if not secret.strip():
        raise ValueError("it is empty; write the secret into it")
    if "\n" in secret:
        raise ValueError("it has several lines; write the secret alone into it, in one line")
    if not secret.isprintable():
        raise ValueError("it holds a character that cannot be printed; write the secret alone into it")
    return secret


class _Problem(str):
    """Stands for a value that could not be read, until validation reports it with all other wrong settings."""

    __slots__ = ()


class _SecretFiles(PydanticBaseSettingsSource):
    """Comes before the environment, so that a setting that is given both ways is noticed."""

    def __call__(self) -> dict[str, Any]:
        environ = {name.upper(): value for name, value in os.environ.items()}  # pydantic reads either case
        found = {name: _value(environ, name.upper()) for name in secret_fields(self.settings_cls)}
        return {name: value for name, value in found.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # for sources that go field by field


def _value(environ: Mapping[str, str], name: str) -> str | None:
    try:
        return secret_from(environ, name)
    except ValueError as problem:
        return _Problem(problem)


def secret_fields(settings: type[BaseSettings]) -> list[str]:
    """The fields that hold secrets."""
    return [name for name, field in settings.model_fields.items() if _holds_secret(field.annotation)]


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


class SecretSettings(BaseSettings):
    """Settings from the environment, and from the files that X_FILE names."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - part of the hook
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _SecretFiles(settings_cls), env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _is_read(cls, value: object) -> object:
        if isinstance(value, _Problem):
            raise ValueError(value)  # noqa: TRY004 - pydantic collects ValueErrors
        return value
