"""All schedules of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kernel_service.ports.schedules import Schedule, ScheduleStore

PAGE: Final = 100


async def all_of(schedules: ScheduleStore, person_id: str) -> list[Schedule]:
    """The oldest first."""
    found: list[Schedule] = []
    while page := await schedules.of_person(person_id, after=found[-1].id if found else "", limit=PAGE):
        found += page
        if len(page) < PAGE:
            break
    return found
