"""The tools that every person has and that need no account: the assistant's memory, and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.tools.memory import ForgetFactTool, RememberTool
from kernel_service.tools.scheduling import CreateScheduleTool, DeleteScheduleTool, ListSchedulesTool

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.tools import Tool
    from kernel_service.ports.triggers import TriggerStore


def own_tools(
    memory: MemoryStore, schedules: ScheduleStore, triggers: TriggerStore, clock: Callable[[], float]
) -> list[Tool]:
    return [
        RememberTool(memory, schedules, clock),
        ForgetFactTool(memory),
        CreateScheduleTool(schedules, memory, clock),
        ListSchedulesTool(schedules, triggers, memory, clock),
        DeleteScheduleTool(schedules, clock),
    ]
