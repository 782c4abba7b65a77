"""How a page that anybody may see names a person: by the ends of an id only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Alias

_SHOWN: Final = 2
_NAMES: Final = {"whatsapp": "WhatsApp"}


def channel_name(channel: str) -> str:
    """A channel as people know it."""
    return _NAMES.get(channel, channel.replace("_", " ").title())


def masked(ids: Sequence[Alias]) -> str:
    """A phone number where there is one, `+•••••••42`, else the first and last letters of an id; empty without any."""
    numbers = [one for one in ids if not one.strong and _bare(one).strip("+").isdigit()]
    if numbers:
        return f"+•••••••{_bare(numbers[-1])[-_SHOWN:]}"
    return f"{_bare(ids[-1])[:_SHOWN]}•••••••{_bare(ids[-1])[-_SHOWN:]}" if ids else ""


def _bare(one: Alias) -> str:
    return one.user_id.partition(":")[2]
