"""Settings that are only safe on this machine. They are refused if another machine can reach the service.

Each check raises a ValueError whose text follows the setting's name: the reason, and what to do. `info` holds the
settings that were read earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from serving.demo import DEMO_SECRETS
from serving.exposure import NEW_TOKEN, OTHERWISE, exposed, refuse
from serving.listening import Address
from serving.loopback import is_loopback
from serving.weak_secrets import published, weak_key, weak_token

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from pydantic import ValidationInfo

_LISTENS: Final = ("kernel_listen", "connect_listen", "kernel_metrics_listen")
_NEW_KEY: Final = "put another before it, made as .env.example says"


def check_tls(certificate: Path | None, info: ValidationInfo) -> None:
    if certificate is None and (by := _exposed(info, ["kernel_listen", "kernel_advertise"])):
        raise ValueError(
            f"is missing, and other machines reach {by}: without TLS people's words and tokens can be read on their "
            f"way. Set KERNEL_TLS_CERT and KERNEL_TLS_KEY, or listen on 127.0.0.1. {OTHERWISE}"
        )


def check_public_url(url: str, info: ValidationInfo) -> None:
    """A browser does not treat an IPv4-mapped address as this machine."""
    listen: str = info.data.get("connect_listen", "")
    address = urlsplit(url or (Address.parse(listen).url if listen else ""))
    host = address.hostname or ""
    here = is_loopback(host) and "::ffff:" not in host
    if address.scheme == "http" and not here and not _is_allowed(info):
        raise ValueError(
            "must be https: put an https proxy before CONNECT_LISTEN and name its address. Only this machine's own, as "
            f"http://localhost:8081, may be http. {OTHERWISE}"
        )


def check_database(url: str, info: ValidationInfo) -> None:
    try:
        password = unquote(urlsplit(url).password or "")
    except ValueError:
        return
    if password == DEMO_SECRETS["POSTGRES_PASSWORD"]:
        _refuse(info, "has the demo's password, which everybody knows", "choose another")


def check_channel_tokens(tokens: Mapping[str, str], info: ValidationInfo) -> None:
    """Token → channel."""
    weak = {channel: weakness for token, channel in tokens.items() if (weakness := weak_token(token))}
    problem = " and ".join(f"has a token of {channel} that {weakness}" for channel, weakness in weak.items())
    _refuse(info, problem, NEW_TOKEN)


def check_admin_token(token: str, others: Collection[str], info: ValidationInfo) -> None:
    """Empty: no caller is admitted."""
    if token in others:
        _refuse(info, "is a channel's token too, so that this channel may do what operators may", NEW_TOKEN)
    check_token(token, info)


def check_token(token: str, info: ValidationInfo) -> None:
    """Empty: there is no token."""
    _refuse(info, weak_token(token) if token else "", NEW_TOKEN)


def check_vendor_key(key: str, info: ValidationInfo) -> None:
    """Refuses the emulators' keys. Any other key may be valid, since the vendor chooses it."""
    _refuse(info, published(key), "set the vendor's")


def check_keys(keys: Mapping[str, bytes], info: ValidationInfo) -> None:
    """Checks only the first key, which seals. An earlier key must still open values until it is replaced."""
    key_id, key = next(iter(keys.items()))
    weakness = weak_key(key)
    _refuse(info, weakness and f"begins with a key ({key_id}) that {weakness}", _NEW_KEY)


def check_emulated_clock(file: Path | None, info: ValidationInfo) -> None:
    _refuse(info, "lets another process move the time" if file else "", "remove it: it is for demos and tests")


def _refuse(info: ValidationInfo, problem: str, remedy: str) -> None:
    refuse(problem, _exposed(info, _LISTENS), remedy)


def _exposed(info: ValidationInfo, names: Collection[str]) -> str:
    if _is_allowed(info):
        return ""
    return exposed({name.upper(): Address.parse(info.data[name]) for name in names if info.data.get(name)})


def _is_allowed(info: ValidationInfo) -> bool:
    return bool(info.data.get("kernel_allow_insecure"))
