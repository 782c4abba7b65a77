"""Settings of the gateway, read from the environment."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from serving.listening import Address
from serving.log_settings import LogFormat, LogLevel
from serving.pem_files import check_authority
from serving.secret_files import SecretSettings
from serving.setting_problems import what_to_do
from serving.traces_setting import checked_traces
from whatsapp_gateway import insecure
from whatsapp_gateway.outbound.template_messages import Template


def _numbers(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(number.strip() for number in value.split(",") if number.strip()))


def _secrets(value: object) -> object:
    """A comma-separated list. The text of a `ValueError` contains none of the secrets."""
    if not isinstance(value, str):
        return value
    secrets = [secret.strip() for secret in value.split(",")]
    if not all(secrets):
        raise ValueError("has an empty entry: put one comma between two secrets, and none before or after them")
    if any(len(secret.split()) > 1 for secret in secrets):
        raise ValueError("has a secret with a space in it: several secrets are separated by commas")
    return tuple(dict.fromkeys(secrets))


def _optional_address(value: str | None) -> Address | None:
    return None if value is None else Address.parse(value)


def _authority(file: Path) -> Path:
    check_authority(file)
    return file


def _of_form(pattern: str, needed: str) -> AfterValidator:
    """`needed` says what an operator has to set, after the setting's name."""

    def check(value: str) -> str:
        if not re.search(pattern, value):
            raise ValueError(needed)
        return value

    return AfterValidator(check)


Secret = Annotated[SecretStr, Field(min_length=1)]
Number = Annotated[
    str, _of_form(r"\A[0-9]{1,32}\Z", "must be the phone number id of the API Setup, which has digits only")
]
Url = Annotated[
    str,
    _of_form(r"\Ahttps?://[^\s/]+", "must be an http or https address, as https://example.com"),
    AfterValidator(lambda url: url.rstrip("/")),
]
Version = Annotated[str, _of_form(r"\Av[0-9]+\.[0-9]+\Z", "must be a version of the Graph API, as v26.0")]
TemplateName = Annotated[
    str,
    _of_form(r"\A[a-z0-9_]{1,512}:[a-z]{2,3}(_[A-Z]{2})?\Z", "must be name:language of a template, as reminder:en_US"),
]


class Settings(SecretSettings):
    """An empty variable counts as unset. An error names the variable and never shows its value."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    # First, because the checks of the other settings depend on it.
    kernel_allow_insecure: bool = False
    """Allows settings that are unsafe beyond this machine."""
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    gateway_listen: Annotated[Address, NoDecode, BeforeValidator(Address.parse)] = Field(
        Address("127.0.0.1", 8080), validate_default=False
    )

    gateway_watchdog_seconds: Annotated[float, Field(ge=0)] = 10
    """If the event loop does not run for this time, the process ends; 0: never."""

    gateway_metrics_listen: Annotated[Address | None, NoDecode, BeforeValidator(_optional_address)] = None
    """The only address that serves /metrics; unset: the webhook's address."""

    kernel_tls_ca: Annotated[Path, AfterValidator(_authority)] | None = None
    """The certificate authority of the kernel service, in PEM; unset: plain text."""
    kernel_address: str = "dns:///localhost:50051"
    kernel_token: Secret

    whatsapp_access_token: Secret
    whatsapp_app_secret: Annotated[tuple[Secret, ...], NoDecode, BeforeValidator(_secrets)]
    """A webhook is accepted if it is signed with any of these secrets: two while the secret is being rotated."""
    whatsapp_verify_token: Secret
    whatsapp_phone_number_id: Annotated[tuple[Number, ...], NoDecode, BeforeValidator(_numbers), Field(min_length=1)]
    whatsapp_api_base_url: Url = "https://graph.facebook.com"
    whatsapp_api_version: Version = "v26.0"
    whatsapp_chat_url: Url = "https://wa.me"
    """The URL with which browsers open a chat: `<url>/<phone>?text=…`."""
    whatsapp_messages_per_second: Annotated[float, Field(ge=0, le=10_000)] = 80
    """Incoming and outgoing messages of each number, by this gateway alone; 0: unlimited."""

    whatsapp_template: TemplateName | None = None
    """Sent to people whose 24-hour window is closed while a reply waits for them."""
    whatsapp_reminder_template: TemplateName | None = None
    """As whatsapp_template, for a reminder; its one parameter is the reminder's text."""

    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(checked_traces)] = ""
    """The collector of traces; empty: none."""

    @field_validator("kernel_address")
    @classmethod
    def _is_private(cls, value: str, info: ValidationInfo) -> str:
        insecure.check_address(value, info)
        return value

    @field_validator("kernel_token")
    @classmethod
    def _is_token(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_kernel_token(value.get_secret_value(), info)
        return value

    @field_validator("whatsapp_access_token", "whatsapp_verify_token")
    @classmethod
    def _is_own(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_published(value.get_secret_value(), info)
        return value

    @field_validator("whatsapp_app_secret")
    @classmethod
    def _are_secrets(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        insecure.check_app_secrets([secret.get_secret_value() for secret in value], info)
        return value

    @property
    def templates(self) -> list[Template]:
        """Empty: those people get no message."""
        given = ((self.whatsapp_reminder_template or "", True), (self.whatsapp_template or "", False))
        parted = ((*name.partition(":")[::2], takes_reminder) for name, takes_reminder in given)
        return [Template(name, language, takes_reminder) for name, language, takes_reminder in parted if name]


def problems(error: ValidationError) -> list[str]:
    """One line per bad setting: its environment variable, and how to fix it. Never its value."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        name = str(each["loc"][0]).upper() if each["loc"] else "settings"
        lines.append(f"{name} {what_to_do(each)}")
    return lines
