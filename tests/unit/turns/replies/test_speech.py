"""One person's slow text rests their own voice; several people's, or a sure refusal, rest the voice of all."""

from __future__ import annotations

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.model import SPEECH_FAILED, Speaker
from kernel_service.turns.replies.speech import REST_SECONDS, SEVERAL, Speech

PEOPLE = [f"p_{number}" for number in range(SEVERAL + 1)]


class Vendor(Speaker):
    """Says all texts but `slow` ones, and none while it is `gone`."""

    gone = ""

    async def speak(self, text: str) -> bytes:
        if self.gone or text == "slow":
            raise VendorUnavailable(self.gone or SPEECH_FAILED)
        return b"sound"


class Line:
    """A voice with a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.vendor = Vendor()
        self.speech = Speech(self.vendor, lambda: self.now, tokens_per_second=20)

    async def fail(self, person_id: str, text: str = "slow") -> None:
        try:
            await self.speech.say(person_id, text)
        except VendorUnavailable:
            return
        raise AssertionError

    @property
    def resting(self) -> list[str]:
        return [person_id for person_id in PEOPLE if self.speech.is_at_rest(person_id)]


async def test_one_person_rests_no_other() -> None:
    line = Line()
    for _ in range(2 * SEVERAL):
        await line.fail("p_0")
        line.now += REST_SECONDS
        assert line.resting == []
    await line.fail("p_0")
    assert line.resting == ["p_0"]


async def test_several_people_rest_all_and_the_next_failure_does_again() -> None:
    line = Line()
    line.vendor.gone = SPEECH_FAILED
    for person_id in PEOPLE[:SEVERAL]:
        assert "p_3" not in line.resting
        await line.fail(person_id)
    assert line.resting == PEOPLE
    line.now += REST_SECONDS
    assert line.resting == []
    await line.fail("p_3")
    assert line.resting == PEOPLE
    line.now += REST_SECONDS
    line.vendor.gone = ""
    assert await line.speech.say("p_0", "short") == b"sound"


async def test_a_success_shows_that_the_vendor_is_there() -> None:
    line = Line()
    for person_id in PEOPLE[: SEVERAL - 1]:
        await line.fail(person_id)
    await line.speech.say("p_3", "short")
    await line.fail("p_2")
    assert line.resting == ["p_0", "p_1", "p_2"]


async def test_a_vendor_that_refuses_every_text_rests_all_at_once() -> None:
    line = Line()
    line.vendor.gone = "speech_unavailable"
    await line.fail("p_0", "short")
    assert line.resting == PEOPLE


async def test_old_failures_are_forgotten() -> None:
    line = Line()
    for person_id in PEOPLE:
        await line.fail(person_id)
        line.now += 3 * REST_SECONDS
    assert line.resting == []
