"""The usage of a person by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel_service.ports.admin import DayUsage, ToolUsage
from kernel_service.ports.exporting import ExportedToolUsage, ExportedUsage
from kernel_service.ports.messages import Usage
from kernel_service.storage.exporting.source import each, source
from kernel_service.storage.schema.usage import tool_usage, usage
from kernel_service.storage.usage.spending import SHOWN

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.exporting.opening import Opening


def _day(_: Opening, row: Row[Any]) -> ExportedUsage:
    spent = Usage(**{name: getattr(row, name) for name in SHOWN[usage]})
    return ExportedUsage(DayUsage(row.day, spent, []), row.replies)


def _tool(_: Opening, row: Row[Any]) -> ExportedToolUsage:
    return ExportedToolUsage(row.day, ToolUsage(row.tool, row.calls, row.failures, row.seconds))


USAGE: Final = source(usage, usage.c.day, records=each(_day))
TOOL_USAGE: Final = source(tool_usage, tool_usage.c.day, tool_usage.c.tool, records=each(_tool))
