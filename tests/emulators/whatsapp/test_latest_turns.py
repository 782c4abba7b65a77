"""A person's latest turn, put together from what each vendor sees of it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from emulators.effects import Effects
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.latest_turns import LatestTurns

SECRET = "what nobody else may see"


class Scene:
    """Alice (`US.1`, `p_1`) and Bob (`US.2`, `p_2`), with an open page. Each effect is a second later."""

    def __init__(self) -> None:
        self.now = 0.0
        self.feed = Feed()
        self.turns = LatestTurns(self.feed)
        self.effects = Effects(clock=self._tick)
        self.effects.recorded = self.turns.follow
        for phone in ("US.1", "US.2"):
            self.turns.add_phone(phone)

    def post(self, phone: str = "US.1", kind: str = "text") -> None:
        self.effects.record("message_posted", person=phone, key="wamid.1", type=kind, text=SECRET, post="wamid.1")
        self.effects.record("message_taken", person=phone, key="wamid.1")

    def model(self, person: str = "p_1", results: list[tuple[str, str]] | None = None) -> None:
        key = hashlib.sha256(person.encode()).hexdigest()[:32]
        self.effects.record("model_call", person=key, text=SECRET, tools=["remember"], results=results or [])

    def send(self, phone: str = "US.1", key: str = "r_1:1", **more: Any) -> None:
        self.effects.record("graph_send", person=phone, key=key, text=SECRET, **({"choices": []} | more))

    def report(self, status: str, key: str = "r_1:1", phone: str = "US.1") -> None:
        self.effects.record("status_taken", person=phone, key=key, status=status)

    def steps(self, phone: str = "US.1") -> list[str]:
        told = self.turns.of(phone)["steps"]
        return [" ".join(filter(None, (each["step"], each["what"]))) for each in told]

    def _tick(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    with ExitStack() as stack:
        stack.enter_context(scene.feed.subscribe())
        yield scene


def test_a_turn_from_its_acceptance_to_its_reading(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    scene.post()
    scene.model()
    scene.effects.record("tool_execution", person="p_1", key="ASANA_CREATE_TASK")
    scene.model(results=[("c_1", "ASANA_CREATE_TASK"), ("c_2", "remember")])
    scene.send()
    for status in ("sent", "delivered", "delivered", "read"):
        scene.report(status)
    assert scene.steps() == [
        *("posted", "accepted", "model", "tool ASANA_CREATE_TASK", "tool remember", "model"),
        *("sent", "delivered", "read"),
    ]
    assert scene.turns.of("US.1")["offered"] == ["remember"]
    scene.post()
    assert scene.steps() == ["posted", "accepted"]


def test_a_parked_turn_resumes_in_the_same_list(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    scene.post()
    scene.model()
    scene.send(choices=["approval:x:yes"])
    assert scene.turns.of("US.1")["parked"]
    scene.post(kind="interactive")
    scene.model(results=[("c_1", "book_table")])
    scene.send(key="r_2:1")
    parked = ["posted", "accepted", "model", "sent", "parked approval"]
    assert scene.steps() == [*parked, "posted", "accepted", "resumed", "tool book_table", "model", "sent"]
    assert not scene.turns.of("US.1")["parked"]


def test_a_connected_account_resumes_a_turn_and_any_other_text_begins_one(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    begun = ["posted", "accepted", "model", "sent"]
    scene.post()
    scene.model()
    scene.send(link="https://connect.example/")
    scene.effects.record("account_connected", person="p_1", key="ca_1", toolkit="asana")
    scene.post()
    scene.model()
    scene.send(link="https://connect.example/", key="r_2:1")
    resumed = ["connected asana", "posted", "accepted", "resumed", "model", "sent", "parked account"]
    assert scene.steps() == [*begun, "parked account", *resumed]
    scene.post()
    scene.model()
    scene.send(key="r_3:1")
    assert scene.steps() == begun


def test_a_reminder_begins_a_turn_and_its_button_parks_nothing(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    scene.post()
    scene.send()
    scene.report("read")
    scene.model()
    scene.send(choices=["schedule:stop:s_1"], key="r_2:1")
    scene.report("read", key="r_1:1")
    assert scene.steps() == ["model", "sent"]
    assert not scene.turns.of("US.1")["parked"]


def test_steps_of_unknown_people_wait_until_it_is_known_whose_they_are(scene: Scene) -> None:
    scene.post("US.1")
    scene.post("US.2")
    scene.model("p_2")
    scene.send("US.2")
    assert (scene.steps("US.1"), scene.steps("US.2")) == (["posted", "accepted"], ["posted", "accepted", "sent"])
    scene.turns.learn("US.2", "p_2")
    scene.turns.learn("US.1", "p_1")
    assert (scene.steps("US.1"), scene.steps("US.2")) == (
        ["posted", "accepted"],
        ["posted", "accepted", "model", "sent"],
    )


def test_a_step_that_is_told_after_the_parking_resumes_nothing(scene: Scene) -> None:
    scene.post()
    scene.model()
    scene.send(link="https://connect.example/")
    scene.turns.learn("US.1", "p_1")
    assert scene.steps() == ["posted", "accepted", "model", "sent", "parked account"]
    assert scene.turns.of("US.1")["parked"]


def test_late_steps_of_an_earlier_turn_are_left_out(scene: Scene) -> None:
    scene.post()
    scene.model()
    scene.send()
    scene.post()
    scene.turns.learn("US.1", "p_1")
    scene.report("read")
    assert scene.steps() == ["posted", "accepted"]


def test_a_kill_shows_in_the_turns_that_it_hits(scene: Scene) -> None:
    scene.post("US.1")
    scene.post("US.2")
    scene.send("US.2")
    scene.report("read", phone="US.2")
    scene.turns.mark("killed", 9.0, "kernel_service")
    assert scene.steps("US.1")[-1] == "killed kernel_service"
    assert scene.steps("US.2")[-1] == "read"


def test_a_message_after_a_kill_begins_a_turn_even_if_the_last_answer_was_just_sent(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    scene.post()
    scene.send()
    scene.turns.mark("killed", 9.0, "kernel_service")
    scene.post()
    scene.report("read")
    scene.model()
    assert scene.steps() == ["posted", "accepted", "model"]


def test_a_page_that_opens_late_takes_the_rest_of_a_turn(scene: Scene) -> None:
    scene.report("read")
    scene.model()
    scene.turns.learn("US.1", "p_1")
    assert scene.steps() == []
    scene.send()
    assert scene.steps() == ["sent"]


def test_no_words_reach_the_page_and_nothing_is_kept_while_no_page_is_open(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    scene.post()
    scene.model()
    scene.send()
    assert SECRET not in json.dumps(scene.turns.of("US.1"))
    alone = Scene()
    alone.post()
    assert alone.steps() == []


def test_a_long_turn_keeps_a_bounded_number_of_steps(scene: Scene) -> None:
    scene.turns.learn("US.1", "p_1")
    for _ in range(100):
        scene.model()
    assert len(scene.steps()) == 40
