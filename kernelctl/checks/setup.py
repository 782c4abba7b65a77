"""The set-up that is checked: the settings as the services read them, from .env and the environment."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import ValidationError

from kernel_service import config as kernel_config
from kernelctl.checks.redaction import Redaction
from kernelctl.checks.results import Skipped
from serving.demo import DEMO_SECRETS, PUBLISHED
from serving.listening import Address
from serving.loopback import is_loopback
from serving.secret_files import file_setting, secret_fields, secret_from
from serving.vendors import VENDORS
from whatsapp_gateway import config as gateway_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

OURS: Final = ("KERNEL_", "GATEWAY_", "CONNECT_", "EMULATORS_")
SETTINGS: Final = frozenset(
    name.upper() for service in (kernel_config.Settings, gateway_config.Settings) for name in service.model_fields
)
SECRETS: Final = frozenset(
    {
        "POSTGRES_PASSWORD",
        "KERNEL_TOKEN",
        *(name.upper() for name in secret_fields(kernel_config.Settings)),
        *(name.upper() for name in secret_fields(gateway_config.Settings)),
    }
)
_A_SERVICE: Final = ("KERNEL_ENCRYPTION_KEYS", "KERNEL_CHANNEL_TOKENS", "KERNEL_TOKEN")
"""A process that has one of these in its environment, as a container has, needs no .env."""
_OTHERS: Final = ("POSTGRES_", "OTEL_")


class CannotReadError(Exception):
    """The settings cannot be read. The text says why, and what to do."""


@dataclass
class Setup:
    """`values` are the settings that are set. `source` names where they come from. Paths are relative to `folder`.

    `clock` is in seconds since 1970, `free_bytes` says how much space is left at a path.
    """

    values: Mapping[str, str]
    folder: Path
    source: str = ".env"
    file: Path | None = None
    """The .env, if there is one."""
    is_local: bool = True
    """Whether the settings are of a folder with a .env, or of this process."""
    clock: Callable[[], float] = time.time
    free_bytes: Callable[[Path], int] | None = None
    calls_model: bool = True
    redact: Redaction = field(init=False)

    def __post_init__(self) -> None:
        self.redact = Redaction(value for name, value in self.values.items() if name in SECRETS)

    def get(self, name: str) -> str:
        """The value of a setting, or what an emulated vendor has, or its default; "": there is none."""
        return self.values.get(name, "") or self._stand_in(name) or self.chosen(name)

    def chosen(self, name: str) -> str:
        """The value of a setting, or its default, without those of emulated vendors."""
        if value := self.values.get(name, ""):
            return value
        for settings in (kernel_config.Settings, gateway_config.Settings):
            known = settings.model_fields.get(name.lower())
            if known is not None and not known.is_required() and known.default is not None:
                return _as_text(known.default)
        return ""

    def _stand_in(self, name: str) -> str:
        """The value that an emulated vendor has."""
        prefixes = tuple(vendor.prefix for name, vendor in VENDORS.items() if self.is_emulated(name))
        return DEMO_SECRETS.get(name, "") if self.is_local and name.startswith(prefixes) else ""

    def number(self, name: str) -> float:
        """Raises Skipped."""
        with _read_settings():
            return float(self.get(name))

    def entries(self, name: str) -> list[str]:
        return [part for each in self.get(name).split(",") if (part := each.strip())]

    def is_emulated(self, vendor: str) -> bool:
        """Whether no key is set, so that the local run and the demo replace the vendor."""
        key = VENDORS[vendor].key
        return not (self.values.get(key) or self.values.get(file_setting(key)))

    def is_emulator(self, base_url: str) -> bool:
        """Whether a vendor's address leads to this machine or to a container beside this one."""
        host = urlsplit(self.get(base_url)).hostname or ""
        return is_loopback(host) or ("." not in host.strip("[]") and ":" not in host)

    @property
    def has_kernel(self) -> bool:
        """Whether these are settings of the kernel service. A container has those of one service."""
        return self.is_local or bool(self.values.get("KERNEL_ENCRYPTION_KEYS"))

    @property
    def has_gateway(self) -> bool:
        """As has_kernel, of the gateway."""
        return self.is_local or bool(self.values.get("WHATSAPP_ACCESS_TOKEN"))

    @property
    def gateway_url(self) -> str:
        """The gateway on this machine. Containers publish another port than they listen on."""
        port = self.values.get("GATEWAY_PORT")
        listen = f"127.0.0.1:{port}" if port and "GATEWAY_LISTEN" not in self.values else self.get("GATEWAY_LISTEN")
        with _read_settings():
            return Address.parse(listen).url

    @property
    def channel_token(self) -> str:
        """The gateway's token, of the gateway's own setting or of the kernel service's."""
        if token := self.values.get("KERNEL_TOKEN"):
            return token
        entries = (entry.partition("=") for entry in self.entries("KERNEL_CHANNEL_TOKENS"))
        return next((token for channel, _, token in entries if channel == "whatsapp"), "")

    @property
    def is_demo(self) -> bool:
        return all(self.is_emulated(name) or self.values[vendor.key] in PUBLISHED for name, vendor in VENDORS.items())

    @property
    def connect_url(self) -> str:
        """Where browsers find the connect pages, without a slash at the end."""
        with _read_settings():
            url = self.get("CONNECT_PUBLIC_URL") or Address.parse(self.get("CONNECT_LISTEN")).url
            urlsplit(url)
        return url.rstrip("/")

    def problems(self, *, kernel: Mapping[str, str], gateway: Mapping[str, str]) -> list[str]:
        """One line per setting that a service refuses at its start, if these others replace those of the set-up."""
        lines: list[str] = []
        if self.has_kernel:
            lines += _refused(kernel_config.Settings, {**self._for_the_kernel(), **kernel}, kernel_config.problems)
        if self.has_gateway:
            lines += _refused(gateway_config.Settings, {**self._whole(), **gateway}, gateway_config.problems)
        return list(dict.fromkeys(lines))

    def _whole(self) -> dict[str, str]:
        """A local run creates the secrets that are missing, and emulated vendors have keys."""
        if not self.is_local:
            return dict(self.values)
        absent = {"KERNEL_TOKEN": _PLACEHOLDER, "KERNEL_ADMIN_TOKEN": _PLACEHOLDER[::-1]}
        absent["KERNEL_ENCRYPTION_KEYS"] = f"placeholder:{_PLACEHOLDER_KEY}"
        absent |= {name: value for name in DEMO_SECRETS if (value := self._stand_in(name))}
        if self.is_emulated("WhatsApp"):
            absent["WHATSAPP_PHONE_NUMBER_ID"] = "106540352242922"
        absent = {name: value for name, value in absent.items() if file_setting(name) not in self.values}
        return absent | {name: value for name, value in self.values.items() if value}

    def _for_the_kernel(self) -> dict[str, str]:
        whole = self._whole()
        if self.is_local:
            own = f"whatsapp={whole['KERNEL_TOKEN']}"
            whole["KERNEL_CHANNEL_TOKENS"] = ",".join(filter(None, [whole.get("KERNEL_CHANNEL_TOKENS", ""), own]))
        return whole


_PLACEHOLDER: Final = "q8Zr2nVw7LxTf3KdJm5HsYb9"
_PLACEHOLDER_KEY: Final = "cThacjJuVnc3THhUZjNLZEptNUhzWWI5MXVXcFg0ZUc="
"""Values that the checks of the form of secrets accept, for those that the local run will create."""


def read_setup(file: Path, environ: Mapping[str, str]) -> Setup:
    """The set-up of the folder of a .env, or, without one, of this process. Raises CannotReadError.

    With a .env the vendors' settings come from it alone, as in a local run: a key that a shell exports for something
    else is never used.
    """
    given = {name: value for name, value in environ.items() if value}
    created = read_file(file.parent / "var" / "keys.env")
    if not file.exists() and any(_is_given(name, given, created) for name in _A_SERVICE):
        prefixes = (*OURS, *(vendor.prefix for vendor in VENDORS.values()), *_OTHERS)
        values = _with_secrets({name: value for name, value in given.items() if name.startswith(prefixes)})
        return Setup(values, file.parent, source="the environment", is_local=False)
    exported = {name: value for name, value in given.items() if name.startswith(OURS)}
    values = _with_secrets(read_file(file) | exported)
    values = {name: value for name, value in created.items() if file_setting(name) not in values} | values
    if not file.exists():
        return Setup(values, file.parent, source=f"the defaults, since there is no {file}")
    return Setup(values, file.parent, source=str(file), file=file)


def _is_given(name: str, given: Mapping[str, str], created: Mapping[str, str]) -> bool:
    """Whether a service was given this secret. Those of the local run may be exported for kernelctl alone."""
    return file_setting(name) in given or given.get(name, "") not in ("", created.get(name))


def _with_secrets(values: dict[str, str]) -> dict[str, str]:
    """With the contents of secrets' files instead of X_FILE. One that cannot be read stays: the services name it."""
    read = dict(values)
    for name in SECRETS:
        with suppress(ValueError):
            if secret := secret_from(values, name):
                read[name] = secret
                read.pop(file_setting(name), None)
    return read


def read_file(file: Path) -> dict[str, str]:
    """The settings in it; none if it does not exist. Raises CannotReadError."""
    if not file.exists():
        return {}
    try:
        with file.open(encoding="utf-8") as text:
            return {name: value for name, value in dotenv_values(stream=text).items() if value}
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise CannotReadError(f"{file} cannot be read: {why}") from None


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Only these variables are set inside the block, as in the process of a service."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _refused(
    settings: Callable[[], object], values: Mapping[str, str], problems: Callable[[ValidationError], list[str]]
) -> list[str]:
    try:
        with environment(values):
            settings()
    except ValidationError as error:
        return problems(error)
    return []


@contextmanager
def _read_settings() -> Iterator[None]:
    """A setting of a wrong form is the finding of one check. The others that need it raise Skipped."""
    try:
        yield
    except ValueError:
        raise Skipped("see the findings of the settings") from None


def _as_text(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
