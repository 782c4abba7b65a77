"""Refuses settings that are safe only while no other machine reaches the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.listening import Address

OTHERWISE: Final = "KERNEL_ALLOW_INSECURE=true starts it anyway"
NEW_TOKEN: Final = "set another, as `openssl rand -hex 32` makes it"  # noqa: S105 - a sentence


def exposed(listens: Mapping[str, Address | None]) -> str:
    """The settings that let other machines in, as a phrase; "" for none."""
    return " and ".join(name for name, address in listens.items() if address is not None and not address.is_loopback)


def refuse(problem: str, exposed: str, remedy: str) -> None:
    """Raise ValueError if there are both a problem and an exposed setting. Its text follows the setting's name."""
    if problem and exposed:
        raise ValueError(f"{problem}, and other machines reach {exposed}: {remedy}. {OTHERWISE}")
