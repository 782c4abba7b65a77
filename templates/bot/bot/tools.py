"""The tools of the assistant. The model sees each function's name, docstring and types."""

from typing import Literal

from kernel_service.ports.tools import Person
from kernel_service.tools.developer_tools import tool

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


@tool(read_only=True, trusted_output=True)
def opening_hours(_: Person, day: Day) -> str:
    """Tell when the shop is open on a day of the week."""
    return "closed" if day == "sunday" else "09:00 to 18:00"


TOOLS = [opening_hours]
