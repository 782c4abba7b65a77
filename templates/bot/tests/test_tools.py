"""Tools are called as the service calls them: with a person, and with arguments that a model chose."""

import asyncio

from bot.tools import opening_hours

from kernel_service.ports.tools import Person, ToolResult

ALICE = Person("p_alice")


def hours(day: str) -> ToolResult:
    return asyncio.run(opening_hours.call(ALICE, {"day": day}))


def test_the_shop_is_closed_on_sundays() -> None:
    assert hours("sunday").output == "closed"
    assert hours("monday").output == "09:00 to 18:00"


def test_a_day_that_does_not_exist_is_told_to_the_model() -> None:
    assert not hours("someday").ok
