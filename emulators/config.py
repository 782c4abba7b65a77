"""Settings of the emulators, read from the environment under the names that the services use."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.demo import DEMO_SECRETS


class Config(BaseSettings):
    """What the emulators accept and whom they call; an empty variable counts as unset.

    The keys are those that a service must present: any other is refused as the vendor refuses it.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    emulators_listen: str = Field(default="127.0.0.1:8090", pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\[\]\s:]+):\d{1,5}$")
    emulators_public_url: str = ""
    """Under which people's browsers reach this process; empty: http://<listen>."""
    emulators_hosts: str = "emulators"
    """Further names by which they are reached, with commas: that of their container. Any other host is refused."""
    emulators_webhook_url: str = "http://127.0.0.1:8080/webhook"
    emulators_effects_file: str = ""
    """Where each effect is also written, so that the log outlives a kill; empty: memory only."""

    emulators_context_window: int = Field(default=1_000_000, ge=1)
    """Tokens that the emulated model reads; a longer request is refused with `context_length_exceeded`."""

    openai_api_key: str = DEMO_SECRETS["OPENAI_API_KEY"]
    composio_api_key: str = DEMO_SECRETS["COMPOSIO_API_KEY"]
    whatsapp_app_secret: str = DEMO_SECRETS["WHATSAPP_APP_SECRET"]
    """Of several with commas the first signs, as the app's newest secret does."""
    whatsapp_access_token: str = DEMO_SECRETS["WHATSAPP_ACCESS_TOKEN"]
    whatsapp_phone_number_id: str = "106540352242922"
    whatsapp_verify_token: str = DEMO_SECRETS["WHATSAPP_VERIFY_TOKEN"]

    kernel_address: str = "127.0.0.1:50051"
    kernel_tls_ca: Path | None = None
    """Read when somebody looks: the kernel service may still have to make it."""
    kernel_admin_token: str = ""
    """Lets the phones page show what the system knows; empty: the page says that it cannot."""

    @property
    def hosts(self) -> list[str]:
        return [name for part in self.emulators_hosts.split(",") if (name := part.strip().lower())]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on, an IPv6 host without its brackets; port 0 takes a free one."""
        host, _, port = self.emulators_listen.rpartition(":")
        return host.strip("[]"), int(port)
