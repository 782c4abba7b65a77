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
from serving.ranges import Range
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
    """WhatsApp gateway.

    An empty variable counts as unset. An error names the variable and never shows its value. The text below a field is
    its description in the reference.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    # First, because the checks of the other settings depend on it.
    kernel_allow_insecure: bool = False
    """Permits settings that are refused where other machines reach a service, as for the kernel service. See
    docs/explanation/security.md#settings-that-are-refused."""

    gateway_listen: Annotated[Address, NoDecode, BeforeValidator(Address.parse)] = Field(
        Address("127.0.0.1", 8080), validate_default=False
    )
    """The address of `/webhook`, `/healthz` and `/readyz`, and of `/metrics` without `GATEWAY_METRICS_LISTEN`. Put an
    https proxy in front of it."""
    gateway_metrics_listen: Annotated[Address | None, NoDecode, BeforeValidator(_optional_address)] = None
    """A separate address for `/metrics`, which is then served nowhere else."""
    gateway_watchdog_seconds: Annotated[float, Range(3, 3600, or_zero=True)] = 10
    """An event loop that is blocked for this long ends the process with code 70, with its threads' stacks in the log.
    0: never."""

    kernel_tls_ca: Annotated[Path, AfterValidator(_authority)] | None = None
    """The authority of the kernel service's certificate, in PEM. Required where `KERNEL_ADDRESS` leads to another
    machine. Unset: plain text."""
    kernel_address: str = "dns:///localhost:50051"
    """The address of the kernel service, or of a balancer over its nodes. The gateway learns the nodes' own addresses
    from it."""
    kernel_token: Secret
    """The `whatsapp` token of `KERNEL_CHANNEL_TOKENS`."""

    whatsapp_access_token: Secret
    """The access token of a system user of Meta's, with the permission `whatsapp_business_messaging`. See
    docs/tutorial/whatsapp-number.md."""
    whatsapp_app_secret: Annotated[tuple[Secret, ...], NoDecode, BeforeValidator(_secrets)]
    """The secret of Meta's app, or several with commas while you replace it: a webhook is accepted if it is signed with
    any of them. See docs/explanation/security.md#changing-the-app-secret."""
    whatsapp_verify_token: Secret
    """A word that you choose, and enter beside the webhook's URL in Meta's app dashboard."""
    whatsapp_phone_number_id: Annotated[tuple[Number, ...], NoDecode, BeforeValidator(_numbers), Field(min_length=1)]
    """The phone number id, or several with commas."""
    whatsapp_template: TemplateName | None = None
    """An approved template without parameters, as `name:language`. People whose 24-hour window is closed while a reply
    waits for them get it: it asks them to write and receive their pending replies. Unset: replies wait until the person
    writes."""
    whatsapp_reminder_template: TemplateName | None = None
    """As `WHATSAPP_TEMPLATE`, for a reminder: its one parameter is the reminder's text, and its first button is a quick
    reply. See docs/reference/whatsapp.md#templates."""
    whatsapp_messages_per_second: Annotated[float, Range(0.1, 10_000, or_zero=True)] = 80
    """Incoming and outgoing messages per second of each number, through this gateway alone. With several gateways
    divide the number's limit by them. 0: no limit."""
    whatsapp_chat_url: Url = "https://wa.me"
    """The address at which browsers open a chat, followed by `/<number>?text=…`."""
    whatsapp_api_base_url: Url = "https://graph.facebook.com"
    """The address of the Graph API."""
    whatsapp_api_version: Version = "v26.0"
    """The version of the Graph API."""

    log_level: LogLevel = "info"
    """The least severe lines of the log, which goes to stderr. See docs/how-to/observability.md#logs."""
    log_format: LogFormat = "text"
    """The form of the log: text, or one JSON object a line."""
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(checked_traces)] = ""
    """The address of a collector that takes OTLP over gRPC, as for the kernel service. Unset: messages are not
    traced."""

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
