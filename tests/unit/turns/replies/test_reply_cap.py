"""The daily cap on replies, and its effect on a flood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.payloads import Choice
from kernel_service.ports.resuming import Confirmed, ParkedRequest
from kernel_service.turns.limits import TurnLimits
from tests.contract.store.outbox import pull
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

DAY = 86_400
LAST = "This is my last message for today. Please write again in about 3 hours."
LAST_QUESTION = (
    "This is my last message for today, but its buttons still work. Otherwise please write again in about 3 hours."
)
LAST_FIXED = "I won't answer messages like this one again for about 3 hours."


@pytest.fixture(autouse=True)
def three_hours_to_midnight(scene: Scene) -> None:
    scene.clock.now += DAY - scene.clock.now % DAY - 3 * 3600


class Talk:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.number = 0
        self.question = ""

    async def say(self, text: str, user: str = "chat:1") -> list[str]:
        self.number += 1
        await self.scene.hear(text, number=self.number, user=user)
        await self.scene.run()
        return await self.scene.told()

    async def tap(self) -> list[str]:
        """The first button of the last prompt."""
        asked = [reply.choices[0].id for reply in await self.scene.replies() if reply.choices]
        self.question = asked[-1] if asked else self.question
        self.number += 1
        await self.scene.send(Choice(self.question, "Approve"), number=self.number)
        await self.scene.run()
        return await self.scene.told()

    async def ask(self, text: str = "a question", user: str = "chat:1") -> list[str]:
        self.scene.model.says = [says("an answer")]
        return await self.say(text, user)


async def test_five_hundred_stops_do_not_give_five_hundred_replies(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=50), Talk(scene)
    told = [await talk.say("stop") for _ in range(100)]
    assert told[:9] == [[texts.answers.STOPPED]] * 9
    assert told[9][0].startswith(f"{texts.answers.STOPPED}\n\n{LAST_FIXED}")
    assert told[10:] == [[]] * 90


async def test_flood_of_fixed_replies_leaves_room_for_answers(scene: Scene) -> None:
    """Spam and wrong codes do not use up the replies for answers."""
    scene.limits, talk = TurnLimits(daily_replies_per_person=10), Talk(scene)
    for _ in range(5):
        await talk.say("stop")
    assert await talk.ask() == ["an answer"]
    assert await talk.say("stop") == [], "it still takes effect"


async def test_last_answer_says_when_replies_resume_and_none_follows(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=3), Talk(scene)
    assert [await talk.ask() for _ in range(3)] == [["an answer"], ["an answer"], [f"an answer\n\n{LAST}"]]
    asked = len(scene.model.shown)
    for text in ("a question", "stop", "new chat"):
        assert await talk.ask(text) == []
    assert len(scene.model.shown) == asked, "no model request for a reply that is not sent"
    assert await talk.ask(user="chat:2") == ["an answer"], "another person has a separate cap"
    scene.clock.now += 3 * 3600
    assert await talk.ask() == ["an answer"]


async def test_without_a_cap_every_message_is_answered(scene: Scene) -> None:
    talk = Talk(scene)
    assert [await talk.say("stop") for _ in range(20)] == [[texts.answers.STOPPED]] * 20


async def test_restart_does_not_reset_the_day(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=1), Talk(scene)
    assert await talk.ask() == [f"an answer\n\n{LAST}"]
    await scene.activated()  # by another process, from what is stored
    assert await talk.ask() == []


async def test_wrong_codes_are_capped_and_a_right_one_is_accepted(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=10), Talk(scene)
    scene.codes.says = {"BCDF-GHJK": Confirmed(texts.connecting.CODE_UNKNOWN)}
    told = [await talk.say("BCDF-GHJK") for _ in range(20)]
    assert len([one for one in told if one]) == 2
    scene.codes.says = {"BCDF-GHJK": Confirmed("Asana is connected.", "Asana", (ParkedRequest("asana", "go on"),))}
    scene.model.says = [says("it is done")]
    [after] = await talk.say("BCDF-GHJK")
    assert after.endswith("it is done")


async def test_budget_refusals_are_capped(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=10, daily_tokens_per_person=1), Talk(scene)
    assert await talk.ask() == ["an answer"]
    told = [await talk.ask() for _ in range(5)]
    assert [len(one) for one in told] == [1, 1, 0, 0, 0]


async def test_notices_count_and_are_not_told_beyond_the_cap(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=5), Talk(scene)
    assert len(await talk.say("stop")) == 1  # the only fixed reply
    await scene.hear(number=50)
    kernel = await scene.activated()
    for _ in range(6):
        scene.model.says = [VendorUnavailable("model_busy")]
        await scene.run(kernel)
        scene.clock.now += 100
    assert await pull(scene.store, channel="chat", limit=10, seconds=60, now=scene.clock()) == []


async def test_prompt_in_the_last_reply_is_still_answered(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=1), Talk(scene)
    scene.act.asks_first = True
    scene.model.says = [calls("act"), says("I ask you")]
    [question] = await talk.say("act")
    assert question.endswith(f"\n\n{LAST_QUESTION}")
    scene.model.says = [says("It is done")]
    assert await talk.tap() == [f"It is done\n\n{LAST}"]
    assert scene.act.calls == 1
    assert await talk.ask() == []
    assert await talk.tap() == [], "a button that has been answered is no way around the cap"


async def test_buttons_do_not_bypass_the_cap(scene: Scene) -> None:
    """Not even if each answer is another prompt."""
    scene.limits, talk = TurnLimits(daily_replies_per_person=10), Talk(scene)
    scene.act.asks_first = True
    told = []
    for number in range(20):
        scene.model.says = [calls("act"), says(f"question {number}")]
        told += await (talk.tap() if number else talk.say("act"))
    assert len(told) == 12


async def test_the_code_of_a_link_in_the_last_reply_is_still_answered(scene: Scene) -> None:
    scene.limits, talk = TurnLimits(daily_replies_per_person=1), Talk(scene)
    assert await talk.ask() == [f"an answer\n\n{LAST}"]
    scene.codes.says = {"BCDF-GHJK": Confirmed("Asana is connected.", "Asana")}
    assert await talk.say("BCDF-GHJK") == [f"Asana is connected.\n\n{LAST}"]
    assert await talk.say("BCDF-GHJK") == []
