"""A tool of the developer's own for the demo: the emulated model knows the words that use it.

The kernel service loads it (`KERNEL_TOOLS`); the local run itself imports no service.
"""

from typing import Annotated

from pydantic import Field

from kernel_service.ports.tools import Person
from kernel_service.tools.developer_tools import tool


@tool(asks_first=True)
def book_table(
    _: Person,
    people: Annotated[int, Field(ge=1, le=20, description="How many people come.")],
    at: Annotated[str, Field(min_length=1, max_length=100, description="When, in the person's own words.")],
) -> str:
    """Book a table in the restaurant around the corner."""
    return f"A table for {people} is booked, at {at}."


TOOLS = [book_table]
