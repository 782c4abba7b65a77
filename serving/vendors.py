"""The vendors, and the settings that lead to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Vendor:
    """All its settings begin with `prefix`. Without a value for `key` an emulator replaces it.

    `base_url` is the setting of its address, and `instead` says what a person meets if it is emulated.
    """

    prefix: str
    key: str
    base_url: str
    instead: str


VENDORS: Final[Mapping[str, Vendor]] = {
    "WhatsApp": Vendor(
        prefix="WHATSAPP_",
        key="WHATSAPP_ACCESS_TOKEN",
        base_url="WHATSAPP_API_BASE_URL",
        instead="the phones are a web page",
    ),
    "OpenAI": Vendor(
        prefix="OPENAI_",
        key="OPENAI_API_KEY",
        base_url="OPENAI_BASE_URL",
        instead="answers come from fixed rules, not from a model",
    ),
    "Composio": Vendor(
        prefix="COMPOSIO_",
        key="COMPOSIO_API_KEY",
        base_url="COMPOSIO_BASE_URL",
        instead="connected accounts and their data are invented",
    ),
}
"""By name."""
