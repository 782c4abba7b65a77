"""The accounts that people connect."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from kernel_service import insecure
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.settings.concern import checked_base, checked_vendor_key, is_http, words
from kernel_service.settings.listening import Listening
from serving.listening import Address


class Accounts(Listening):
    """Connected accounts."""

    composio_api_key: SecretStr
    """The key of the Composio project."""
    composio_base_url: str = "https://backend.composio.dev"
    """The address of Composio."""
    composio_webhook_secret: SecretStr = SecretStr("")
    """The secret of Composio's events, which Composio sends to `<CONNECT_PUBLIC_URL>/connect/events`. With it people
    can wait for news in their accounts, and learn of a lost connection at once. Unset: no event is accepted."""
    composio_verifier: bool = False
    """`true` once the identity verifier of the Composio project is on, with `<CONNECT_PUBLIC_URL>/connect/verify` as
    its URL. See docs/explanation/connecting.md."""
    connect_public_url: str = Field("", validate_default=True)
    """The https address of the connect pages as people's browsers reach it, without a path. It may be http for an
    address of this machine only. Unset: `http://<CONNECT_LISTEN>`."""
    connect_trusted_proxies: str = ""
    """The addresses or networks of the proxy in front of the connect pages, as `127.0.0.1,10.0.0.0/8`. Its
    `X-Forwarded-For` is trusted, so that each address in it has a separate limit."""
    kernel_toolkits: str = ""
    """The Composio toolkits that people may connect, as `asana,gmail`. Unset: all."""

    @field_validator("composio_api_key")
    @classmethod
    def _is_composio_key(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        key = checked_vendor_key(value.get_secret_value())
        insecure.check_vendor_key(key, info)
        return SecretStr(key)

    @field_validator("composio_base_url")
    @classmethod
    def _is_composio(cls, value: str) -> str:
        return checked_base(value, cls.model_fields["composio_base_url"].default)

    @field_validator("composio_webhook_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_token(value.get_secret_value(), info)
        return value

    @field_validator("connect_public_url")
    @classmethod
    def _is_url(cls, value: str, info: ValidationInfo) -> str:
        if value and not _is_site(value):
            raise ValueError("must be an http or https address without a path, as https://connect.example.com")
        insecure.check_public_url(value, info)
        return value.rstrip("/")

    @field_validator("connect_trusted_proxies")
    @classmethod
    def _are_proxies(cls, value: str) -> str:
        TrustedProxies(value)
        return value

    def connect_url(self) -> str:
        """The address of the connect pages for people's browsers. If unset, only browsers on this machine find them."""
        return self.connect_public_url or Address.parse(self.connect_listen).url

    def toolkits(self) -> list[str]:
        return words(self.kernel_toolkits)


def _is_site(value: str) -> bool:
    """Whether it consists of http or https, a host, and an optional port."""
    if not is_http(value):
        return False
    parts = urlsplit(value)
    return not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
