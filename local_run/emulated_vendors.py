"""The vendors that an emulator can replace, and the settings that select the emulator."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.demo import DEMO_SECRETS
from serving.vendors import VENDORS, Vendor


@dataclass(frozen=True)
class EmulatedVendor:
    """The emulator replaces the vendor below `path`. `settings` are those that it expects, besides its address."""

    name: str
    path: str
    settings: Mapping[str, str]

    @property
    def vendor(self) -> Vendor:
        return VENDORS[self.name]

    def stand_in(self, emulators: str) -> dict[str, str]:
        """The settings that select the emulator. `emulators` is the address of all of them."""
        settings = {name: value.replace("{emulators}", emulators) for name, value in self.settings.items()}
        return {self.vendor.base_url: f"{emulators}{self.path}", **settings}


def _demo(*names: str) -> dict[str, str]:
    return {name: DEMO_SECRETS[name] for name in names}


EMULATED_VENDORS = (
    EmulatedVendor(name="OpenAI", path="/openai/v1", settings=_demo("OPENAI_API_KEY")),
    EmulatedVendor(name="Composio", path="/composio", settings=_demo("COMPOSIO_API_KEY", "COMPOSIO_WEBHOOK_SECRET")),
    EmulatedVendor(
        name="WhatsApp",
        path="/graph",
        settings={
            **_demo("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"),
            "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
            "WHATSAPP_CHAT_URL": "{emulators}/wa.me",
            "WHATSAPP_TEMPLATE": "waiting:en_US",
            "WHATSAPP_REMINDER_TEMPLATE": "reminder:en_US",
        },
    ),
)
