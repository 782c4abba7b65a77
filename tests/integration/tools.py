"""A bot developer's tools that make files, as KERNEL_TOOLS names them."""

from __future__ import annotations

from kernel_service.ports.tools import Person, ToolFile, ToolResult
from kernel_service.tools.developer_tools import tool
from tests.integration.files import pdf, png

CHART = png(shade=120, side=90)
BILL = pdf("Rent for May", filler=400_000)
ARCHIVE = b"PK\x03\x04" + bytes(500)


@tool(read_only=True)
def draw_chart(_: Person) -> ToolResult:
    """Draw the chart."""
    return ToolResult("The chart is drawn.", files=(ToolFile(CHART, "image/png", "chart.png"),))


@tool()
def make_papers(_: Person) -> ToolResult:
    """Make a bill and an archive."""
    bill, archive = ToolFile(BILL, "application/pdf", "bill.pdf"), ToolFile(ARCHIVE, "application/zip", "all.zip")
    return ToolResult("Both are made.", files=(bill, archive))


TOOLS = [draw_chart, make_papers]
