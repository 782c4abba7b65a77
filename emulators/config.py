"""Settings of the emulators, read from the environment under the names that the services use."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.demo import DEMO_SECRETS


class Config(BaseSettings):
    """The keys that the emulators accept and the addresses that they call. An empty variable counts as unset.

    A service must present these keys. The emulators refuse any other key as the vendor does.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    emulators_listen: str = Field(default="127.0.0.1:8090", pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\[\]\s:]+):\d{1,5}$")
    emulators_public_url: str = ""
    """The address at which people's browsers reach this process; empty: http://<listen>."""
    emulators_hosts: str = "emulators"
    """Further host names of the emulators, separated by commas, as that of their container. Others are refused."""
    emulators_webhook_url: str = "http://127.0.0.1:8080/webhook"
    emulators_events_url: str = "http://127.0.0.1:8081/connect/events"
    """The webhook of Composio's project."""
    emulators_effects_file: str = ""
    """A file to which each effect is also written, so that the log survives a kill; empty: memory only."""

    emulators_context_window: int = Field(default=1_000_000, ge=1)
    """The context window in tokens. A longer request is refused with `context_length_exceeded`."""

    emulators_kills_fd: int | None = None
    """The inherited socket by which a local run kills a service on request; none: the page has no such buttons."""

    kernel_emulated_clock: Path | None = None
    """The file by which the kernel service follows the emulators' time. With it the phones page lets time pass."""

    openai_api_key: str = DEMO_SECRETS["OPENAI_API_KEY"]
    composio_api_key: str = DEMO_SECRETS["COMPOSIO_API_KEY"]
    composio_webhook_secret: str = DEMO_SECRETS["COMPOSIO_WEBHOOK_SECRET"]
    """Signs Composio's events; empty: the project has no webhook."""
    whatsapp_app_secret: str = DEMO_SECRETS["WHATSAPP_APP_SECRET"]
    """One or several separated by commas. The first one signs, as the app's newest secret does."""
    whatsapp_access_token: str = DEMO_SECRETS["WHATSAPP_ACCESS_TOKEN"]
    whatsapp_phone_number_id: str = "106540352242922"
    whatsapp_verify_token: str = DEMO_SECRETS["WHATSAPP_VERIFY_TOKEN"]

    kernel_address: str = "127.0.0.1:50051"
    kernel_tls_ca: Path | None = None
    """Read on first use, because the kernel service may create it later."""
    kernel_admin_token: str = ""
    """With it the phones page shows the state of the system; empty: the page says that it cannot."""
    kernel_token: str = ""
    """The gateway's. With it the phones page shows what each person's assistant keeps for later."""

    @property
    def hosts(self) -> list[str]:
        return [name for part in self.emulators_hosts.split(",") if (name := part.strip().lower())]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. An IPv6 host has no brackets; port 0 takes a free port."""
        host, _, port = self.emulators_listen.rpartition(":")
        return host.strip("[]"), int(port)
