"""A repr contains no value that may hold a phone number, since asyncio logs the reprs of arguments."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest

import kernel_service
import whatsapp_gateway
from whatsapp_gateway.model.updates import Alias, Malformed, Message, Sender, Status, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = {
    "answers_id", "answers_message_id", "bsuid", "channel_message_id", "message_id", "parent", "phone", "phones",
    "quoted_id", "quoted_message_id", "reaction_to", "recipient", "to", "user_id", "user_ids", "wa_id", "wamid",
}  # fmt: skip


def dataclasses_of_ours() -> Iterator[type]:
    for package in (kernel_service, whatsapp_gateway):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" in module.name or module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.name:
                    yield value


@pytest.mark.slow
def test_repr_contains_no_number() -> None:
    told = {
        f"{one.__module__}.{one.__qualname__}.{field.name}"
        for one in dataclasses_of_ours()
        for field in dataclasses.fields(one)
        if field.repr and field.name in NUMBERS
    }
    assert sorted(told) == []


def test_repr_of_a_webhook_contains_no_number() -> None:
    number = "15551234567"
    sender = Sender(f"whatsapp:{number}", (Alias(f"whatsapp:{number}", strong=False),))
    items = [
        Message("n1", f"wamid.{number}", sender, Text("hello"), sent_at=1),
        Status(f"wamid.{number}", "", "read", "", 1, "n1", (f"whatsapp:{number}",)),
        Malformed("odd", f"wamid.{number}"),
    ]
    assert number not in repr(items)
