"""After a refusal, an empty or an unusable answer a turn ends, and the next message is served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from kernel_service import texts
from kernel_service.errors import Busy, SealedValueDamaged, VendorUnavailable
from kernel_service.kernels.history import CONTEXT_TOKENS
from kernel_service.ports.messages import Link, Usage
from kernel_service.ports.model import (
    CONTEXT_TOO_LONG,
    FILTERED,
    FOREIGN_REASONING,
    FunctionCall,
    ModelAnswer,
    ModelRejectedError,
    UnusableAnswerError,
)
from kernel_service.ports.tools import ToolResult
from kernel_service.token_counts import utf8_tokens
from kernel_service.turns.calls.tool_calls import MOST_CALLS
from kernel_service.turns.context.instructions import WITHOUT_TOOLS
from kernel_service.turns.limits import TurnLimits
from tests.unit.turns.scene import Model, Scene, Toolbox, calls, says, shown

if TYPE_CHECKING:
    from kernel_service.ports.model import ModelRequest, TextListener

REFUSED = ModelRejectedError("invalid_prompt")
TOO_LONG = ModelRejectedError(CONTEXT_TOO_LONG)
FOREIGN = ModelRejectedError(FOREIGN_REASONING)
NOTHING = ModelAnswer([], " ", Usage(input_tokens=10, output_tokens=5))
THOUGHT_ONLY = ModelAnswer([], "", Usage(input_tokens=10, output_tokens=5), cut=True)


class Strict(Model):
    """A model that reads `window` tokens, and refuses requests by a predicate."""

    def __init__(self, window: int = 10**9) -> None:
        super().__init__()
        self.window = window
        self.requests: list[ModelRequest] = []
        self.hates = ""

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        self.requests.append(request)
        if sum(map(utf8_tokens, request.items)) > self.window:
            raise TOO_LONG
        if self.hates and self.hates in str(shown(request)):
            raise REFUSED
        if not self.says:
            self.says.append(says("ok"))
        return await super().answer(request)

    def sizes(self) -> list[int]:
        return [sum(map(utf8_tokens, request.items)) for request in self.requests]


def strict(scene: Scene, window: int = 10**9) -> Strict:
    scene.model = Strict(window)
    return scene.model


async def talk(scene: Scene, text: str, number: int) -> list[str]:
    """One message, run until it is answered, as by a new process."""
    await scene.hear(text, number)
    for _ in range(20):
        due = await scene.run()
        if due is None:
            break
        scene.clock.now = max(scene.clock.now, due)
    return await scene.told()


# --- reasoning --------------------------------------------------------------------------------------------------------


def thinking(answer: ModelAnswer, name: str) -> ModelAnswer:
    thought = {"type": "reasoning", "id": f"rs_{name}", "summary": [], "encrypted_content": name}
    return replace(answer, items=[thought, *(item | {"id": f"it_{name}"} for item in answer.items)])


def reasoning(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items if item["type"] == "reasoning"]


async def test_unreadable_reasoning_is_removed_for_the_rest_of_the_turn(scene: Scene) -> None:
    scene.model.says = [thinking(calls("look"), "a"), FOREIGN, VendorUnavailable("model_unavailable"), says("done")]
    assert await talk(scene, "go", 1) == ["done"]
    assert [reasoning(items) for items in scene.model.shown] == [[], ["rs_a"], [], []]
    assert "it_a" not in str(scene.model.shown[-1]), "the vendor looks up the reasoning of an id"
    scene.model.says = [thinking(calls("look"), "b"), says("again")]
    assert await talk(scene, "again", 2) == ["again"]
    assert reasoning(scene.model.shown[-1]) == ["rs_b"], "reasoning that is sealed for the new key is used"


async def test_reasoning_refused_within_a_turn_keeps_its_work(scene: Scene) -> None:
    scene.model.says = [thinking(calls("look"), "a"), FOREIGN, says("done")]
    assert await talk(scene, "go", 1) == ["done"]
    assert scene.look.calls == 1
    assert scene.model.shown[-1][-1]["output"] == "look done"


async def test_repeated_reasoning_refusals_end_the_turn(scene: Scene) -> None:
    scene.model.says = [says("one")]
    await talk(scene, "1", 1)
    scene.model.says = [thinking(calls("look"), "a"), FOREIGN, FOREIGN, FOREIGN]
    assert await talk(scene, "2", 2) == [texts.answers.FAILED]
    assert len(scene.model.shown) == 5, "with reasoning, without, and without what was said before"
    scene.model.says = [says("fine")]
    assert await talk(scene, "3", 3) == ["fine"]


# --- too long ---------------------------------------------------------------------------------------------------------


async def test_undone_trial_and_the_note_of_the_calls_are_in_memory_as_in_the_store(scene: Scene) -> None:
    for number in range(4):
        scene.model.says = [says("ok")]
        await talk(scene, f"remember {number} " * 300, number)
    await scene.hear("go", 5)
    kernel = await scene.activated()
    scene.model.says = [calls("look"), *[TOO_LONG] * 40]
    await scene.run(kernel)
    assert await scene.told() == [texts.answers.TOO_MUCH_AT_ONCE]
    stored = await scene.activated()
    assert b"look" in kernel.history.ended.lines()[-1]
    assert kernel.history.ended.lines() == stored.history.ended.lines()
    assert kernel.context_tokens == stored.context_tokens == CONTEXT_TOKENS


async def test_a_message_that_is_itself_too_long_costs_no_memory(scene: Scene) -> None:
    model = strict(scene)
    for number in range(5):
        await talk(scene, f"remember {number}", number)
    before = len(model.requests[-1].items)
    model.says = [TOO_LONG] * 40
    assert await talk(scene, "endless", 6) == [texts.answers.TOO_MUCH_AT_ONCE]
    model.says = []
    assert await talk(scene, "hello", 7) == ["ok"]
    assert len(model.requests[-1].items) > before, "everything from before, and what was said now"
    assert await talk(scene, "hello", 8) == ["ok"]
    assert "remember 0" in str(shown(model.requests[-1])), "after a restart, too"


async def test_a_resident_kernel_keeps_its_memory_of_before_too(scene: Scene) -> None:
    model = strict(scene)
    for number in range(5):
        await talk(scene, f"remember {number}", number)
    kernel = await scene.activated()
    model.says = [TOO_LONG] * 40
    await scene.hear("endless", 6)
    await scene.run(kernel)
    model.says = []
    await scene.hear("hello", 7)
    await scene.run(kernel)
    assert "remember 0" in str(shown(model.requests[-1]))


async def test_a_history_that_is_too_long_is_halved_and_stays_so(scene: Scene) -> None:
    model = strict(scene)
    for number in range(10):
        await talk(scene, f"{number} " + "word " * 300, number)
    before = model.sizes()[-1]
    model.window, model.requests = before - 1, []
    assert await talk(scene, "short", 10) == ["ok"]
    assert len(model.requests) == 2
    assert model.sizes()[1] <= before // 2 + 100
    kept = model.requests[1].items
    assert orjson.loads(kept[0])["role"] == "user"
    model.window, model.requests = 10**9, []
    for number in range(11, 14):  # a new process each time
        await talk(scene, "short", number)
        assert model.requests[-1].items[: len(kept)] == kept, "the vendor's cache finds its prefix again"


async def test_a_window_that_is_full_is_halved_and_then_left_alone(scene: Scene) -> None:
    model = strict(scene)
    starts = []
    for number in range(24):
        await talk(scene, f"{number} " + "word " * 3000, number)
        starts.append(shown(model.requests[-1])[0]["content"][:3])
    assert max(model.sizes()) <= CONTEXT_TOKENS + 6000
    assert 2 <= len(dict.fromkeys(starts)) <= 3, f"it begins where it began before, mostly: {starts}"


@pytest.mark.parametrize("word", ["word ", "語", "\U00012000", "ጸሎት "])
async def test_results_that_are_too_long_are_cut_within_the_turn(scene: Scene, word: str) -> None:
    model = strict(scene, 3000)
    scene.limits = TurnLimits(steps=12)
    many = [calls("look") for _ in range(6)]
    for number, answer in enumerate(many):
        answer.items[0]["call_id"] = f"c{number}"
        answer.calls[0] = FunctionCall(f"c{number}", "look", {})
    scene.look.result = ToolResult(word * 8000)
    model.says = [*many, says("read")]
    assert await talk(scene, "read all", 1) == ["read"]
    assert scene.look.calls == 6
    assert model.sizes()[-1] <= 3000
    assert "characters are left out" in shown(model.requests[-1])[-1]["output"]


async def test_a_message_that_is_too_long_alone_is_read_in_part(scene: Scene) -> None:
    model = strict(scene, 2000)
    assert await talk(scene, "begin " + "x" * 60_000 + " end", 1) == ["ok"]
    content = shown(model.requests[-1])[0]["content"]
    assert content.startswith("begin ")
    assert content.endswith(" end")
    assert "left out" in content


async def test_a_model_that_reads_nothing_ends_in_a_sentence_and_the_next_message_is_served(scene: Scene) -> None:
    model = strict(scene, 0)
    assert await talk(scene, "hello", 1) == [texts.answers.TOO_MUCH_AT_ONCE]
    assert [bool(request.tools) for request in model.requests] == [True, False]
    model.window = 10**9
    assert await talk(scene, "hello?", 2) == ["ok"]


async def test_a_history_that_never_fits_ends_too(scene: Scene) -> None:
    model = strict(scene)
    for number in range(6):
        await talk(scene, "word " * 3000, number)
    model.window, model.requests = 0, []
    assert await talk(scene, "hello", 7) == [texts.answers.TOO_MUCH_AT_ONCE]
    assert len(model.requests) < 8
    sizes = model.sizes()
    assert sizes == sorted(sizes, reverse=True)
    model.window = 10**9
    assert await talk(scene, "hello?", 8) == ["ok"]


async def test_a_short_history_is_halved_too(scene: Scene) -> None:
    model = strict(scene)
    for number in range(10):
        await talk(scene, f"{number} is short", number)
    model.window, model.requests = model.sizes()[-1] - 1, []
    assert await talk(scene, "hello", 10) == ["ok"]
    kept = [item["content"] for item in shown(model.requests[-1]) if item.get("role") == "user"]
    assert kept[-2:] == ["9 is short", "hello"]
    assert "0 is short" not in kept
    assert model.requests[-1].max_output_tokens == scene.limits.output_tokens


# --- other refusals ---------------------------------------------------------------------------------------------------


async def test_a_history_that_the_vendor_refuses_is_left_behind(scene: Scene) -> None:
    model = strict(scene)
    await talk(scene, "poison", 1)
    model.hates = "poison"
    assert await talk(scene, "hello", 2) == ["ok"]
    model.requests = []
    assert await talk(scene, "and again", 3) == ["ok"]
    assert len(model.requests) == 1, "it is not tried again"


async def test_a_message_that_the_vendor_refuses_costs_no_history(scene: Scene) -> None:
    model = strict(scene)
    await talk(scene, "my name is Ada", 1)
    model.hates = "poison"
    assert await talk(scene, "poison", 2) == [texts.answers.FAILED]
    assert await talk(scene, "who am I", 3) == ["ok"]
    assert "Ada" in str(shown(model.requests[-1]))


# --- answers that say nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", " ", "\n", "\u200b", "\u2800"])
async def test_an_answer_that_says_nothing_is_asked_for_once_more(scene: Scene, nothing: str) -> None:
    empty = ModelAnswer([], nothing, Usage(output_tokens=3))
    scene.model.says = [empty, says("here")]
    assert await talk(scene, "go", 1) == ["here"]
    assert (await scene.store.inbox.answer_of(scene.person_id, scene.seq)).usage.output_tokens == 8, "both are paid for"
    scene.model.says = [empty, empty]
    assert await talk(scene, "go", 2) == [texts.answers.NO_ANSWER]
    scene.model.says = [says("fine")]
    await talk(scene, "go", 3)
    assert scene.model.shown[-1][-2]["content"] == texts.answers.NO_ANSWER, "the model knows what the person was told"


async def test_no_words_after_a_tool_say_what_was_used(scene: Scene) -> None:
    scene.model.says = [calls("act"), NOTHING, NOTHING]
    assert await talk(scene, "go", 1) == [texts.answers.no_words_after(["Act"])]
    assert scene.act.calls == 1


async def test_a_button_needs_no_words(scene: Scene) -> None:
    scene.look.result = ToolResult("a button", link=Link("https://x", "Connect Asana", None))
    scene.model.says = [calls("look"), NOTHING]
    assert await talk(scene, "go", 1) == [texts.answers.ONLY_A_BUTTON]


async def test_reasoning_that_used_up_all_tokens_gets_more_once(scene: Scene) -> None:
    model = strict(scene)
    model.says = [THOUGHT_ONLY, says("at last")]
    assert await talk(scene, "think", 1) == ["at last"]
    assert [request.max_output_tokens for request in model.requests] == [25_000, 50_000]
    model.says = [THOUGHT_ONLY, THOUGHT_ONLY]
    assert await talk(scene, "think", 2) == [texts.answers.NO_ANSWER_IN_TIME]


# --- unusable answers -------------------------------------------------------------------------------------------------


async def test_nonsense_is_given_up_after_a_bounded_number_of_tries(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = UnusableAnswerError(Usage(input_tokens=3, model_calls=1), "no_choices")
    scene.model.says = [nonsense] * scene.limits.attempts
    assert await talk(scene, "go", 1) == [texts.answers.FAILED]
    assert len(scene.model.shown) == scene.limits.attempts
    spent = await scene.store.spending.spent_today(scene.person_id, now=scene.clock())
    assert spent == 3 * scene.limits.attempts, "each try is billed"
    assert caplog.text.count("model answer unusable: no_choices turn=") == scene.limits.attempts
    scene.model.says = [says("fine")]
    assert await talk(scene, "and now?", 2) == ["fine"]


async def test_a_turn_that_makes_progress_for_ever_between_breaks_ends(scene: Scene) -> None:
    """Progress resets the count of failures, so the requests to the model have a total limit."""
    scene.limits = TurnLimits(model_calls=9)
    answers: list[ModelAnswer | Exception] = []
    for number in range(30):
        answer = calls("look")
        answer.items[0]["call_id"] = f"c{number}"
        answer.calls[0] = FunctionCall(f"c{number}", "look", {})
        answers += [ModelAnswer(answer.items, "", Usage(model_calls=1), answer.calls)]
        answers += [UnusableAnswerError(Usage(model_calls=1), "html")]
    scene.model.says = answers
    assert await talk(scene, "go", 1) == [texts.answers.TOO_MANY_STEPS]
    scene.model.says = [says("fine")]
    assert await talk(scene, "and now?", 2) == ["fine"]


async def test_a_model_that_asks_for_thousands_of_calls_gets_some(scene: Scene) -> None:
    names = [f"c{number}" for number in range(5000)]
    items: list[dict[str, Any]] = [{"type": "function_call", "call_id": name, "name": "look"} for name in names]
    many = ModelAnswer(items, "", Usage(), [FunctionCall(name, "look", {}) for name in names])
    scene.model.says = [many, says("enough")]
    assert await talk(scene, "go", 1) == ["enough"]
    assert scene.look.calls == MOST_CALLS
    results = [item for item in scene.model.shown[-1] if item["type"] == "function_call_output"]
    assert len(results) == 5000


# --- holds that end ---------------------------------------------------------------------------------------------------


async def held(scene: Scene, away: VendorUnavailable, times: int) -> int:
    """How often the turn was held before it ended."""
    await scene.hear("go", 1)
    for hold in range(times):
        scene.model.says = [away, away]
        due = await scene.run()
        if due is not None and await scene.told():
            return hold
        due = await scene.run()
        if due is None:
            return hold
        scene.clock.now = due
    return times


async def test_a_vendor_who_answers_others_but_not_this_turn_ends_it(scene: Scene) -> None:
    class Poisoned(Model):
        async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
            self.shown.append(shown(request))
            if "poison" in str(shown(request)):
                raise VendorUnavailable("model_unavailable")
            return says("ok")

    scene.model = Poisoned()
    assert await talk(scene, "poison", 1) == [texts.limits.WAITED_TOO_LONG]
    assert await talk(scene, "hello", 2) == ["ok"]


class Allergic(Model):
    """Fails in the given way if one item of the history is shown, and answers otherwise."""

    def __init__(self, failure: Exception | ModelAnswer) -> None:
        super().__init__()
        self.failure = failure

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        self.shown.append(shown(request))
        if "allergen" not in str(shown(request)):
            return says("ok")
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


@pytest.mark.parametrize(
    "failure",
    [
        *map(VendorUnavailable, ("model_unavailable", "model_rejects_key", "model_unpaid")),
        UnusableAnswerError(Usage(), "html"),
        REFUSED,
        ModelAnswer([], "", Usage(), refusal=FILTERED),
    ],
    ids=str,
)
async def test_person_is_answered_despite_any_failure_of_an_old_item(
    scene: Scene, failure: Exception | ModelAnswer
) -> None:
    scene.model.says = [says("noted")]
    await talk(scene, "allergen", 1)
    scene.model = Allergic(failure)
    assert (await talk(scene, "hello", 2))[-1] == "ok"
    assert (await talk(scene, "hello again", 3))[-1] == "ok"


async def test_a_filter_that_takes_one_answer_costs_no_memory(scene: Scene) -> None:
    scene.model.says = [says("noted")]
    await talk(scene, "allergen", 1)
    scene.model = Allergic(ModelAnswer([], "", Usage(), refusal=FILTERED))
    assert await talk(scene, "hello", 2) == ["ok"]
    scene.model = Model()
    scene.model.says = [says("fine")]
    assert await talk(scene, "hello again", 3) == ["fine"]
    assert "allergen" in str(scene.model.shown[-1])


async def test_a_vendor_who_is_away_is_waited_for_but_not_for_ever(scene: Scene) -> None:
    assert scene.limits.hold_seconds == 86_400
    scene.limits, began = TurnLimits(hold_seconds=900), scene.clock.now
    assert await held(scene, VendorUnavailable("model_unavailable"), 300) > scene.limits.holds
    assert began + 900 < scene.clock.now < began + 1000
    assert await scene.told() == [texts.limits.WAITED_TOO_LONG]


@pytest.mark.parametrize("away", [VendorUnavailable("model_unpaid"), VendorUnavailable("model_rejects_key"),
                                  Busy("model_busy", 300.0)])  # fmt: skip
async def test_no_hold_is_for_ever(scene: Scene, away: VendorUnavailable) -> None:
    scene.limits = TurnLimits(hold_seconds=600)
    await held(scene, away, 300)
    assert await scene.told() == [texts.limits.WAITED_TOO_LONG]


# --- what breaks before the model is asked ----------------------------------------------------------------------------


async def test_unavailable_tools_do_not_prevent_an_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    model = strict(scene)

    async def tools_for(*_: object) -> list[Any]:
        raise RuntimeError("a tool list of a new shape")

    await scene.hear("hello", 1)
    toolbox = Toolbox()
    monkeypatch.setattr(toolbox, "tools_for", tools_for)
    runner = scene.runner(toolbox=toolbox)
    await runner.run_next(await scene.activated())
    assert await scene.told() == ["ok"]
    assert WITHOUT_TOOLS in model.requests[0].instructions


async def test_tools_that_are_away_are_waited_for_a_while(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    strict(scene)

    async def tools_for(*_: object) -> list[Any]:
        raise VendorUnavailable("tools_unavailable")

    toolbox = Toolbox()
    monkeypatch.setattr(toolbox, "tools_for", tools_for)
    runner = scene.runner(toolbox=toolbox)
    await scene.hear("hello", 1)
    began = scene.clock.now
    for _ in range(40):
        due = await runner.run_next(await scene.activated())
        if due is None:
            break
        scene.clock.now = max(scene.clock.now, due)
    assert await scene.told() == ["ok"]
    assert scene.clock.now - began < 300


@pytest.mark.parametrize("error", [RuntimeError("new"), SealedValueDamaged("broken"), KeyError("x")])
async def test_any_failure_is_given_up_and_the_next_message_is_served(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    strict(scene)

    def breaks(*_: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("kernel_service.turns.execution.inputs.stamp", breaks)
        assert await talk(scene, "hello", 1) == [texts.answers.FAILED]
    assert await talk(scene, "and now?", 2) == ["ok"]
