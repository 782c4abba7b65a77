"""The tools that every person has and that need no account: the assistant's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.tools.memory import ForgetFactTool, RememberTool

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.tools import Tool


def own_tools(memory: MemoryStore, clock: Callable[[], float]) -> list[Tool]:
    return [RememberTool(memory, clock), ForgetFactTool(memory)]
