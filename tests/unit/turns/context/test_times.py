"""The time of a message for the model: in the person's zone if it is known, and never changed later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.turns import TurnMessage
from kernel_service.storage.schema.payloads import from_stored
from kernel_service.turns.context import times
from kernel_service.turns.context.instructions import instructions
from tests.contract.store.owner import move
from tests.unit.turns.scene import says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

NOON = 1_795_953_600.0
"""2026-11-29 12:00 UTC, a Sunday."""


def message(sent_at: str = "") -> TurnMessage:
    payload = from_stored({"text": "hi", "sent_at": sent_at} if sent_at else {"text": "hi"})
    return TurnMessage(1, "m1", "test", "", payload, NOON)


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("", "Sunday, 2026-11-29 at 12:00 UTC"),
        ("Europe/Vienna", "Sunday, 2026-11-29 at 13:00, Europe/Vienna (UTC+01:00)"),
        ("Pacific/Kiritimati", "Monday, 2026-11-30 at 02:00, Pacific/Kiritimati (UTC+14:00)"),
        ("America/St_Johns", "Sunday, 2026-11-29 at 08:30, America/St_Johns (UTC-03:30)"),
        ("UTC", "Sunday, 2026-11-29 at 12:00, UTC (UTC+00:00)"),
        ("Nowhere/Town", "Sunday, 2026-11-29 at 12:00 UTC"),
    ],
)
def test_time_is_in_the_zone_of_the_person(zone: str, told: str) -> None:
    assert times.in_words(NOON, zone) == told


def test_summer_time_has_its_own_offset() -> None:
    assert times.in_words(NOON - 150 * 86_400, "Europe/Vienna").endswith("at 14:00, Europe/Vienna (UTC+02:00)")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("2026-11-29T11:59:00Z", "11:59"),
        ("2026-11-29T11:59:00.123456789Z", "11:59"),
        ("2026-11-29T12:00:30Z", "12:00"),
        ("2026-11-22T12:00:00Z", "2026-11-22 at 12:00"),
        ("2026-11-29T12:02:00Z", "12:00"),
        ("1970-01-01T00:00:00Z", "12:00"),
        ("9999-12-31T23:59:59Z", "12:00"),
        ("0001-01-01T00:00:00Z", "12:00"),
        ("yesterday", "12:00"),
    ],
)
def test_plausible_channel_time_is_used(sent: str, told: str) -> None:
    assert told in times.stamp(message(sent), "", NOON)


def test_delayed_message_carries_the_current_time() -> None:
    assert times.stamp(message(), "", NOON + times.LATE_SECONDS) == "[Sent on Sunday, 2026-11-29 at 12:00 UTC]"
    assert times.stamp(message(), "", NOON + 3 * 3600) == (
        "[Sent on Sunday, 2026-11-29 at 12:00 UTC; you get it on Sunday, 2026-11-29 at 15:00 UTC]"
    )


def test_instructions_contain_no_time() -> None:
    assert instructions("Be kind.").endswith("\n\nBe kind.")
    assert "202" not in instructions("")


async def test_sent_items_never_change(scene: Scene) -> None:
    heard, real = [], scene.model.user_item
    scene.model.user_item = lambda given: real(given) | {"time": given.time}  # type: ignore[method-assign]
    for number in (1, 2, 3):
        await scene.hear("hello", number)
        await move(scene.store, scene.person_id, ["Europe/Vienna", "Asia/Tokyo"][number % 2])
        scene.model.says = [says("hi")]
        await scene.run()
        heard.append(scene.model.shown[-1])
        scene.clock.now += 86_400 * 40
    assert heard[1][: len(heard[0])] == heard[0]
    assert heard[2][: len(heard[1])] == heard[1]
    told = [item["time"] for item in heard[2] if "time" in item]
    assert ["Tokyo" in each for each in told] == [True, False, True]
