"""How each concern reads its settings, and forms that several of them have."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic_settings import SettingsConfigDict

from serving.secret_files import SecretSettings


class Concern(SecretSettings):
    """One field per variable of the environment. An empty variable counts as unset.

    The text below a field is its description in the reference, which checks/reference/settings.py reads.
    """

    model_config = SettingsConfigDict(
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,
        defer_build=True,  # only the class of all concerns is used
    )


def words(setting: str) -> list[str]:
    return [word for part in setting.split(",") if (word := part.strip())]


def is_http(value: str) -> bool:
    """Whether it is an address with http or https, a host, and a valid port, if any."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host)


def checked_base(value: str, default: object) -> str:
    """The address of a vendor. The default may be empty."""
    if value != default and not is_http(value.strip()):
        raise ValueError("must be an http or https address, as https://vendor.example.com/v1")
    return value.strip()


def checked_vendor_key(value: str) -> str:
    """A key from a file often ends with a line break, and no header may hold one."""
    key = value.strip()
    if not (key.isprintable() and key.isascii()):
        raise ValueError("holds a line break or another character that no key has: give the key alone")
    return key
