"""The kernel service's settings, from the environment. Errors name a setting and never show its value."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from kernel_service import insecure
from kernel_service.api.advertised import advertised, check_advertised
from kernel_service.api.peers import PeerTls
from kernel_service.approvals.policy import ApprovalPolicy, Approve
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.people.identity import CHANNEL
from kernel_service.ports.weak_ids import DEFAULT_DAYS
from kernel_service.storage.engine import database_url, postgres_url
from kernel_service.storage.sealing.ciphers import parse_keys
from serving.listening import Address
from serving.log_settings import LogFormat, LogLevel
from serving.pem_files import check_authority, check_pair, check_readable
from serving.secret_files import SecretSettings
from serving.setting_problems import what_to_do
from serving.traces_setting import checked_traces
from serving.weak_secrets import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable


_MOST = 10**12
"""The largest number in a setting: derived bytes, seconds and tokens still fit into their columns."""


class Settings(SecretSettings):
    """One field per variable. The table in the README explains each."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    # First, since the checks of the other settings depend on them.
    kernel_allow_insecure: bool = False
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    kernel_listen: str = "127.0.0.1:50051"
    kernel_advertise: str = ""
    kernel_metrics_listen: str = "127.0.0.1:9464"
    connect_listen: str = "127.0.0.1:8081"
    kernel_database_url: SecretStr = SecretStr("sqlite:///var/kernel.db")
    kernel_database_direct_url: SecretStr = SecretStr("")
    kernel_database_pool: int = Field(10, ge=2)
    kernel_channel_tokens: SecretStr
    kernel_admin_token: SecretStr = SecretStr("")
    kernel_tls_cert: Path | None = Field(None, validate_default=True)
    kernel_tls_key: Path | None = None
    kernel_tls_ca: Path | None = None
    kernel_idle_seconds: float = Field(86_400, gt=0)
    kernel_sweep_seconds: float = Field(60, gt=0)
    kernel_memory_mb: float = Field(0, ge=0)
    kernel_media_mb: float = Field(1024, gt=0)
    kernel_media_mb_per_user: float = Field(64, gt=0)
    kernel_channel_calls: int = Field(2000, ge=1)
    kernel_channel_pulls: int = Field(64, ge=1)
    kernel_channel_uploads: int = Field(8, ge=1)
    kernel_upload_idle_seconds: float = Field(15, gt=0)
    kernel_history_days: int = Field(0, ge=0)
    kernel_history_mb_per_user: float = Field(0, ge=0)
    kernel_inactive_days: int = Field(0, ge=0)
    kernel_weak_id_days: float = Field(DEFAULT_DAYS, gt=0)
    kernel_schedules_per_user: int = Field(50, ge=0, le=1000)
    kernel_schedule_minutes_apart: int = Field(15, ge=1, le=1440)
    kernel_schedule_runs_per_day: int = Field(20, ge=1, le=1440)
    kernel_schedule_years_ahead: int = Field(2, ge=1, le=50)
    kernel_max_turns: int = Field(64, ge=1)
    kernel_debounce_seconds: float = Field(0.6, ge=0)
    kernel_drain_seconds: float = Field(20, ge=0)
    kernel_watchdog_seconds: float = Field(10, ge=0)
    kernel_toolkits: str = ""
    kernel_instructions_file: Path | None = None
    kernel_tools: str = ""
    kernel_approve: Approve = Approve.CAREFUL
    kernel_approve_tools: str = ""
    kernel_allowed_users: str = ""
    kernel_daily_tokens: int = Field(0, ge=0)
    kernel_daily_tokens_per_user: int = Field(0, ge=0)
    kernel_daily_replies_per_user: int = Field(500, ge=0)
    kernel_triggers_per_user: int = Field(20, ge=0)
    kernel_daily_triggered_per_user: int = Field(20, ge=0)
    kernel_trigger_gather_seconds: float = Field(300, ge=0)
    kernel_tokens_per_audio_second: int = Field(20, ge=0)
    kernel_model_per_minute: int = Field(5000, ge=0)
    kernel_model_per_minute_per_user: int = Field(120, ge=0)
    kernel_model_tokens_per_minute: int = Field(0, ge=0)
    kernel_composio_per_minute: int = Field(1900, ge=0)
    kernel_composio_per_minute_per_user: int = Field(200, ge=0)
    kernel_encryption_keys: SecretStr
    kernel_emulated_clock: Path | None = None
    connect_public_url: str = Field("", validate_default=True)
    connect_trusted_proxies: str = ""
    openai_api_key: SecretStr
    openai_base_url: str = "https://api.openai.com/v1"
    openai_api: Literal["responses", "chat"] = "responses"
    openai_model: str = "gpt-6.2-sol"
    openai_max_output_tokens: int = Field(25_000, ge=16)
    openai_compact_tokens: int = Field(60_000, ge=1000)
    openai_compact_turns: int = Field(50, ge=0)
    openai_reasoning_effort: str = Field("", pattern=r"^[a-z]*$")
    openai_transcribe_model: str = "gpt-transcribe"
    openai_transcribe_base_url: str = ""
    openai_transcribe_api_key: SecretStr = SecretStr("")
    openai_speech_model: str = ""
    openai_speech_voice: str = "alloy"
    composio_api_key: SecretStr
    composio_base_url: str = "https://backend.composio.dev"
    composio_webhook_secret: SecretStr = SecretStr("")
    composio_verifier: bool = False
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(checked_traces)] = ""
    otel_traces_sampler_arg: float = Field(1, ge=0, le=1)

    @field_validator("*")
    @classmethod
    def _is_countable(cls, value: object) -> object:
        if isinstance(value, int | float) and not value <= _MOST:
            raise ValueError("must be at most 1,000,000,000,000")
        return value

    @field_validator("kernel_listen", "kernel_metrics_listen", "connect_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        Address.parse(value)
        return value

    @field_validator("kernel_advertise")
    @classmethod
    def _is_reachable(cls, value: str) -> str:
        return str(check_advertised(value)) if value else ""

    @field_validator("kernel_database_url")
    @classmethod
    def _is_database(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        database_url.check(value.get_secret_value())
        insecure.check_database(value.get_secret_value(), info)
        return value

    @field_validator("kernel_database_direct_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            postgres_url.parse(value.get_secret_value())
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

    @field_validator("kernel_channel_tokens")
    @classmethod
    def _are_tokens(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_channel_tokens(parse_tokens(value.get_secret_value()), info)
        return value

    @field_validator("kernel_admin_token")
    @classmethod
    def _is_admin_token(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        channel_tokens: SecretStr | None = info.data.get("kernel_channel_tokens")
        others = parse_tokens(channel_tokens.get_secret_value()) if channel_tokens else {}
        insecure.check_admin_token(value.get_secret_value(), others, info)
        return value

    @field_validator("kernel_encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_keys(parse_keys(value.get_secret_value()), info)
        return value

    @field_validator("kernel_emulated_clock")
    @classmethod
    def _is_for_development(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        insecure.check_emulated_clock(value, info)
        return value

    @field_validator("openai_api_key", "openai_transcribe_api_key", "composio_api_key")
    @classmethod
    def _is_vendor_key(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """A key from a file often ends with a line break, and no header may hold one."""
        key = value.get_secret_value().strip()
        if not (key.isprintable() and key.isascii()):
            raise ValueError("holds a line break or another character that no key has: give the key alone")
        insecure.check_vendor_key(key, info)
        return SecretStr(key)

    @field_validator("openai_base_url", "openai_transcribe_base_url", "composio_base_url")
    @classmethod
    def _is_base(cls, value: str, info: ValidationInfo) -> str:
        is_default = value == cls.model_fields[str(info.field_name)].default
        if not is_default and not _is_http(value.strip()):
            raise ValueError("must be an http or https address, as https://vendor.example.com/v1")
        return value.strip()

    @field_validator("composio_webhook_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_token(value.get_secret_value(), info)
        return value

    @field_validator("kernel_instructions_file", "kernel_tls_cert", "kernel_tls_key")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_readable(value)
        return value

    @field_validator("kernel_tls_key")
    @classmethod
    def _fits(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and (certificate := info.data.get("kernel_tls_cert")):
            check_pair(certificate, value)
        return value

    @field_validator("kernel_tls_ca")
    @classmethod
    def _is_authority(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_authority(value)
        return value

    @field_validator("kernel_tls_cert")
    @classmethod
    def _is_private(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        insecure.check_tls(value, info)
        return value

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if bool(self.kernel_tls_cert) != bool(self.kernel_tls_key):
            raise ValueError("KERNEL_TLS_CERT and KERNEL_TLS_KEY go together: set both, or neither")
        return self

    def tokens(self) -> dict[str, str]:
        """Token → channel."""
        return parse_tokens(self.kernel_channel_tokens.get_secret_value())

    def tls(self) -> tuple[bytes, bytes] | None:
        """Private key and certificate chain, PEM."""
        if self.kernel_tls_key is None or self.kernel_tls_cert is None:
            return None
        return self.kernel_tls_key.read_bytes(), self.kernel_tls_cert.read_bytes()

    def peer_tls(self) -> PeerTls | None:
        """None: the nodes speak without TLS."""
        if self.kernel_tls_cert is None:
            return None
        authority = self.kernel_tls_ca.read_bytes() if self.kernel_tls_ca else None
        return PeerTls.of(self.kernel_tls_cert.read_bytes(), authority)

    def advertised(self, port: int) -> Address:
        """Where gateways and other nodes reach this one. `port` is the one that is bound."""
        return advertised(self.kernel_advertise, Address.parse(self.kernel_listen), port)

    def connect_url(self) -> str:
        """The address of the connect pages for people's browsers. If unset, only browsers on this machine find them."""
        return self.connect_public_url or Address.parse(self.connect_listen).url

    def transcription_server(self) -> tuple[str, str]:
        """The key and the address of the server that transcribes."""
        key = self.openai_transcribe_api_key.get_secret_value() or self.openai_api_key.get_secret_value()
        return key, self.openai_transcribe_base_url or self.openai_base_url

    def toolkits(self) -> list[str]:
        return words(self.kernel_toolkits)

    def instructions(self) -> str:
        return self.kernel_instructions_file.read_text() if self.kernel_instructions_file else ""

    def approval_policy(self) -> ApprovalPolicy:
        return ApprovalPolicy(words(self.kernel_approve_tools), self.kernel_approve)

    def is_unlimited(self) -> bool:
        """Whether every user id may write, without a budget."""
        budgets = self.kernel_daily_tokens or self.kernel_daily_tokens_per_user
        return not words(self.kernel_allowed_users) and not budgets

    def allowed(self) -> Callable[[str], bool]:
        """Whether a user id may write. Patterns are shell patterns, as `whatsapp:US.*`."""
        patterns = words(self.kernel_allowed_users)
        return lambda user_id: not patterns or any(fnmatch.fnmatchcase(user_id, each) for each in patterns)


def _is_site(value: str) -> bool:
    """Whether it consists of http or https, a host, and an optional port."""
    if not _is_http(value):
        return False
    parts = urlsplit(value)
    return not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)


def _is_http(value: str) -> bool:
    """Whether it is an address with http or https, a host, and a valid port, if any."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host)


def words(setting: str) -> list[str]:
    return [word for part in setting.split(",") if (word := part.strip())]


def parse_tokens(setting: str) -> dict[str, str]:
    """`channel=token,channel=token` → token → channel. The text of a ValueError has no token in it."""
    tokens: dict[str, str] = {}
    for pair in words(setting):
        channel, _, token = pair.partition("=")
        # Other names have special meanings: `*` is the operator.
        if not CHANNEL.fullmatch(channel):
            raise ValueError("must be channel=token, several with commas, each channel of a-z, 0-9, `_` and `-`")
        if len(token) < SHORTEST:
            raise ValueError(f"must be channel=token, several with commas, each token of {SHORTEST} characters or more")
        if tokens.setdefault(token, channel) != channel:
            raise ValueError("one token stands for two channels; give each its own")
    if not tokens:
        raise ValueError("name at least one channel=token")
    return tokens


def problems(error: ValidationError) -> list[str]:
    """One line per wrong setting: its name in the environment and what to do, without its value."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in each["loc"]).upper()
        lines.append(f"{name} {what_to_do(each)}".strip())
    return lines
