"""Settings that are safe only on this machine. They are rejected once another machine can reach the gateway.

Each check raises a `ValueError` whose text follows the setting's name: the reason, and the fix. `info` holds the
settings that were read before.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationInfo

from serving.exposure import NEW_TOKEN, OTHERWISE, exposed, refuse
from serving.loopback import keeps_to_loopback
from serving.weak_secrets import published, weak_token

_LISTENS: Final = ("gateway_listen", "gateway_metrics_listen")


def check_address(address: str, info: ValidationInfo) -> None:
    """An unreadable certificate still means that TLS is intended, and that setting is reported."""
    is_plain = "kernel_tls_ca" in info.data and info.data["kernel_tls_ca"] is None
    if is_plain and not keeps_to_loopback(address) and not _is_allowed(info):
        raise ValueError(
            "leads to another machine without TLS, so messages and KERNEL_TOKEN could be read in transit: set "
            f"KERNEL_TLS_CA, and KERNEL_TLS_CERT and KERNEL_TLS_KEY of the kernel service. {OTHERWISE}"
        )


def check_kernel_token(token: str, info: ValidationInfo) -> None:
    """The token is used at the kernel service, so the service's address matters as well."""
    away = "" if _is_allowed(info) or keeps_to_loopback(info.data.get("kernel_address", "unix:")) else "KERNEL_ADDRESS"
    refuse(weak_token(token), _exposed(info) or away, NEW_TOKEN)


def check_app_secrets(secrets: Sequence[str], info: ValidationInfo) -> None:
    """Any holder of a secret can sign webhooks as WhatsApp does."""
    weak = next(filter(None, map(weak_token, secrets)), "")
    refuse(weak, _exposed(info), "set the app's own, from Meta's app dashboard, App settings > Basic")


def check_published(secret: str, info: ValidationInfo) -> None:
    """WhatsApp issues these secrets, or only Meta presents them. Only the emulators' values are known to be wrong."""
    refuse(published(secret), _exposed(info), "set your own")


def _exposed(info: ValidationInfo) -> str:
    return "" if _is_allowed(info) else exposed({name.upper(): info.data.get(name) for name in _LISTENS})


def _is_allowed(info: ValidationInfo) -> bool:
    return bool(info.data.get("kernel_allow_insecure"))
