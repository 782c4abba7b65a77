"""The vendors that have an emulator, and the settings that select it."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.demo import DEMO_SECRETS


@dataclass(frozen=True)
class Vendor:
    """All its settings begin with `prefix`. Without `key` in .env the emulator replaces it, below `path`."""

    name: str
    prefix: str
    key: str
    base_url: str
    path: str
    emulated: Mapping[str, str]
    instead: str

    def stand_in(self, emulators: str) -> dict[str, str]:
        emulated = {name: value.replace("{emulators}", emulators) for name, value in self.emulated.items()}
        return {self.base_url: f"{emulators}{self.path}", **emulated}


def _demo(*names: str) -> dict[str, str]:
    return {name: DEMO_SECRETS[name] for name in names}


VENDORS = (
    Vendor(
        name="OpenAI",
        prefix="OPENAI_",
        key="OPENAI_API_KEY",
        base_url="OPENAI_BASE_URL",
        path="/openai/v1",
        emulated=_demo("OPENAI_API_KEY"),
        instead="answers come from fixed rules, not from a model",
    ),
    Vendor(
        name="Composio",
        prefix="COMPOSIO_",
        key="COMPOSIO_API_KEY",
        base_url="COMPOSIO_BASE_URL",
        path="/composio",
        emulated=_demo("COMPOSIO_API_KEY", "COMPOSIO_WEBHOOK_SECRET"),
        instead="connected accounts and their data are invented",
    ),
    Vendor(
        name="WhatsApp",
        prefix="WHATSAPP_",
        key="WHATSAPP_ACCESS_TOKEN",
        base_url="WHATSAPP_API_BASE_URL",
        path="/graph",
        emulated={
            **_demo("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"),
            "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
            "WHATSAPP_CHAT_URL": "{emulators}/wa.me",
            "WHATSAPP_TEMPLATE": "waiting:en_US",
            "WHATSAPP_REMINDER_TEMPLATE": "reminder:en_US",
        },
        instead="the phones are a web page",
    ),
)
