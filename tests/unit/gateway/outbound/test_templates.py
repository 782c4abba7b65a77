"""A person who waits is asked to write: once a day, by the best template that WhatsApp takes, at bounded cost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kernel_client.errors import KernelError
from tests.clock import Clock
from whatsapp_gateway.graph.api import Ambiguous, GraphApi, Refused, Sent
from whatsapp_gateway.graph.errors import Remedy, remedy_for
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.invitations import Invitation, InvitationName, NoInvitation
from whatsapp_gateway.outbound import asked_people, templates
from whatsapp_gateway.outbound.asked_people import REPEAT_SECONDS
from whatsapp_gateway.outbound.template_health import PAUSE_SECONDS
from whatsapp_gateway.outbound.template_messages import NO_TEXT, Template
from whatsapp_gateway.outbound.template_sender import TemplateSender
from whatsapp_gateway.outbound.templates import MOST_ATTEMPTS, WindowTemplates

PLAIN = Template("come_back", "en_US")
REMINDER = Template("reminder", "en_US", takes_reminder=True)

OLDER = Invitation(counted=False)
"""The answer for a service that grants all."""

Result = Sent | Refused | Ambiguous


def refused(code: int) -> Refused:
    return Refused(str(code), remedy_for(code, 400))


class KeptGraph(GraphApi):
    """Answers each send with `result`, if that is not None."""

    def __init__(self, result: Callable[[Any], Result | None] = lambda _: None) -> None:
        self.result = result
        self.sends: list[tuple[str, Any]] = []

    async def send(self, number: str, body: Any, timeout: float) -> Result:
        self.sends.append((number, body))
        await asyncio.sleep(0)
        return self.result(body) or Sent(f"wamid.{len(self.sends)}")

    @property
    def names(self) -> list[str]:
        return [body["template"]["name"] for _, body in self.sends]

    @property
    def people(self) -> list[str]:
        return [body.get("to") or body["recipient"] for _, body in self.sends]


class Granting(KernelCalls):
    """Grants each claim with `answer`, or refuses it, and keeps what was withdrawn."""

    def __init__(self, answer: Invitation | NoInvitation | KernelError = Invitation()) -> None:  # noqa: B008 - it is frozen
        self.answer = answer
        self.claims: list[str] = []
        self.withdrawn: list[str] = []
        self.retries: list[float | None] = []

    async def claim_invitation(self, claimer: str, reply_id: str, timeout: float) -> Invitation | NoInvitation:
        self.claims.append(reply_id)
        if isinstance(self.answer, KernelError):
            raise self.answer
        return self.answer

    async def withdraw_invitation(
        self, claimer: str, reply_id: str, timeout: float, *, retry_after: float | None = None
    ) -> None:
        self.withdrawn.append(f"{reply_id} {claimer}")
        self.retries.append(retry_after)


class Asking(WindowTemplates):
    """With a clock in place of the loop's timers."""

    def __init__(self, graph: KeptGraph, kernel: Granting, *given: Template, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(0.0)
        self.metrics = Metrics()
        sender = TemplateSender(graph, self.metrics, given or (PLAIN,), self.clock)
        super().__init__(kernel, self.metrics, sender, "gateway-1", self.clock)

    async def settled(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def ask(self, *people: str, number: str = "42", reply_id: str = "rp_1") -> None:
        for person in people:
            self.window_closed(number, reply_id, person)
        await self.settled()

    async def after(self, seconds: float) -> None:
        """The postponed attempts happen."""
        self.clock.now += seconds
        for asking, timer in list(self._postponed.values()):
            timer.cancel()
            self._resume(asking)
        await self.settled()

    def alerts(self) -> float:
        return self.metrics.alerts.labels("template")._value.get()  # type: ignore[no-any-return]


async def test_once_a_day_per_person_and_number() -> None:
    graph = KeptGraph()
    asking = Asking(graph, Granting(OLDER))
    for asking.clock.now in (0, 1, REPEAT_SECONDS - 1):
        await asking.ask("whatsapp:US.1")
    await asking.ask("whatsapp:US.1", number="43")
    await asking.ask("whatsapp:15550001")
    asking.clock.now = REPEAT_SECONDS
    await asking.ask("whatsapp:US.1")
    assert list(zip([number for number, _ in graph.sends], graph.people, strict=True)) == [
        ("42", "US.1"),
        ("43", "US.1"),
        ("42", "15550001"),
        ("42", "US.1"),
    ]
    assert graph.sends[0][1] == {
        "recipient_type": "individual",
        "recipient": "US.1",
        "type": "template",
        "template": {"name": "come_back", "language": {"code": "en_US"}},
        "biz_opaque_callback_data": "invitation/plain/0/rp_1/gateway-1",
    }


async def test_one_person_is_asked_once_under_any_of_their_ids() -> None:
    graph = KeptGraph()
    asking = Asking(graph, Granting(OLDER))
    await asking.ask("whatsapp:15550001")  # rejected at once, by the id that it was sent to
    asking.clock.now = REPEAT_SECONDS - 1
    asking.window_closed("42", "rp_1", "whatsapp:US.1", "whatsapp:15550001")  # by a status, which names both
    await asking.ask("whatsapp:US.1")
    assert graph.people == ["15550001"]
    asking.clock.now = REPEAT_SECONDS
    await asking.ask("whatsapp:US.1")
    assert graph.people == ["15550001", "US.1"]


async def test_of_several_ids_the_best_is_asked_and_the_others_are_not() -> None:
    graph = KeptGraph()
    asking = Asking(graph, Granting(OLDER))
    asking.window_closed("42", "rp_1", "whatsapp:US.1", "whatsapp:15550001")
    await asking.ask("whatsapp:15550001", "whatsapp:US.1")
    assert graph.people == ["US.1"]


async def test_a_person_without_an_address_is_not_asked() -> None:
    graph = KeptGraph()
    asking = Asking(graph, Granting())
    asking.window_closed("42", "rp_1")
    await asking.ask("")
    assert graph.sends == []


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_people, "MOST_REMEMBERED", 10)
    asking = Asking(KeptGraph(), Granting(OLDER))
    await asking.ask(*(f"whatsapp:US.{number}" for number in range(100)))
    assert len(asking._asked) == 10


async def test_a_template_that_another_gateway_sent_is_not_sent() -> None:
    graph, kernel = KeptGraph(), Granting(NoInvitation())
    asking = Asking(graph, kernel)
    for _ in range(2):
        await asking.ask("whatsapp:US.1")
    assert graph.sends == []
    assert kernel.claims == ["rp_1", "rp_1"]


async def test_without_the_services_answer_the_same_claim_is_made_again() -> None:
    graph, kernel = KeptGraph(), Granting(KernelError("UNAVAILABLE"))
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    kernel.answer = Invitation()
    await asking.after(20)
    assert [body["biz_opaque_callback_data"] for _, body in graph.sends] == ["invitation/plain/0/rp_1/gateway-1"]


@pytest.mark.parametrize(("reason", "claims"), [("INTERNAL", 1 + templates.MOST_CLAIMS), ("FIELD_INVALID", 1)])
async def test_a_service_that_never_answers_is_asked_again_with_the_next_reply(reason: str, claims: int) -> None:
    graph, kernel = KeptGraph(), Granting(KernelError(reason))
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    for _ in range(10):
        await asking.after(20)
    assert len(kernel.claims) == claims
    kernel.answer = Invitation()
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    assert len(graph.sends) == 1


async def test_a_reminder_a_moment_before_the_day_is_over_asks_then() -> None:
    graph, kernel = KeptGraph(), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    asking.clock.now = 24 * 3600 - 2
    kernel.answer = NoInvitation(2)
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    assert len(graph.sends) == 1
    kernel.answer = Invitation()
    await asking.after(3)
    assert len(graph.sends) == 2


# --- which template -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reminder", "sent"),
    [
        ((REMINDER, PLAIN), "call Ada", ["reminder"]),
        ((PLAIN, REMINDER), "call Ada", ["reminder"]),
        ((REMINDER, PLAIN), "", ["come_back"]),
        ((PLAIN,), "call Ada", ["come_back"]),
        ((REMINDER,), "call Ada", ["reminder"]),
        ((REMINDER,), "", []),
    ],
)
async def test_a_reminder_uses_the_template_that_takes_it(
    given: tuple[Template, ...], reminder: str, sent: list[str]
) -> None:
    graph, kernel = KeptGraph(), Granting(Invitation(reminder))
    await Asking(graph, kernel, *given).ask("whatsapp:US.1")
    assert graph.names == sent
    assert kernel.withdrawn == ([] if sent else ["rp_1 rp_1/0/gateway-1"])


async def test_a_reply_that_no_template_fits_does_not_keep_a_reminder_from_asking() -> None:
    graph, kernel = KeptGraph(), Granting(Invitation())
    asking = Asking(graph, kernel, REMINDER)
    await asking.ask("whatsapp:US.1")
    kernel.answer = Invitation("call Ada")
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    assert graph.names == ["reminder"]


# --- refusals -----------------------------------------------------------------------------------------------------

CROWD = [f"whatsapp:US.{number}" for number in range(50)]


@pytest.mark.parametrize("code", [132000, 132001, 132007, 132015, 132016, 132018, 132005, 132012, 132068])
async def test_a_template_at_fault_is_tried_once_and_each_person_is_asked_later(code: int) -> None:
    works: list[bool] = []
    graph, kernel = KeptGraph(lambda _: None if works else refused(code)), Granting()
    asking = Asking(graph, kernel)
    await asking.ask(*CROWD)
    assert len(graph.sends) == 1
    assert len(kernel.retries) == len(CROWD)
    assert all(retry and retry > PAUSE_SECONDS for retry in kernel.retries)
    await asking.after(PAUSE_SECONDS)
    assert (len(graph.sends), asking.alerts()) == (2, 1)
    works.append(True)
    await asking.after(PAUSE_SECONDS)
    assert sorted(graph.people[2:]) == sorted(person.removeprefix("whatsapp:") for person in CROWD)
    await asking.after(0)
    assert len(graph.sends) == 2 + len(CROWD)


async def test_the_plain_template_replaces_one_at_fault() -> None:
    graph = KeptGraph(lambda body: refused(132015) if body["template"]["name"] == "reminder" else None)
    kernel = Granting(Invitation("call Ada"))
    asking = Asking(graph, kernel, REMINDER, PLAIN)
    await asking.ask(*CROWD)
    assert graph.names == ["reminder"] + ["come_back"] * len(CROWD)
    assert kernel.withdrawn == []


@pytest.mark.parametrize("code", [132005, 132012, 132018, 131008, 131009, 100])
async def test_a_text_that_whatsapp_refuses_pauses_no_template(code: int) -> None:
    def result(body: Any) -> Refused | None:
        text = body["template"]["components"][0]["parameters"][0]["text"]
        return refused(code) if text == "cursed" else None

    graph, kernel = KeptGraph(result), Granting(Invitation("cursed"))
    asking = Asking(graph, kernel, REMINDER)
    await asking.ask("whatsapp:US.1")
    kernel.answer = Invitation("call Ada")
    await asking.ask("whatsapp:US.2")
    texts = [body["template"]["components"][0]["parameters"][0]["text"] for _, body in graph.sends]
    assert (texts, asking.alerts()) == (["cursed", NO_TEXT, "call Ada"], 0)


@pytest.mark.parametrize("code", [130472, 131021, 131026, 131030, 131047, 131049, 131050])
async def test_a_refusal_of_the_person_is_final_for_the_day_and_one_alert(code: int) -> None:
    graph, kernel = KeptGraph(lambda _: refused(code)), Granting()
    asking = Asking(graph, kernel)
    await asking.ask(*CROWD)
    await asking.after(REPEAT_SECONDS - 1)
    assert (len(graph.sends), kernel.withdrawn, asking.alerts()) == (len(CROWD), [], 1)


@pytest.mark.parametrize("code", [2, 131000, 131016, 131042, 131048, 131056, 130429, 368, 190])
async def test_after_a_passing_refusal_they_are_asked_again_less_and_less_often(code: int) -> None:
    graph, kernel = KeptGraph(lambda _: refused(code)), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    waits = []
    while asking._postponed:
        (postponed,) = asking._postponed.values()
        waits.append(postponed.timer.when() - asyncio.get_running_loop().time())
        await asking.after(waits[-1])
    assert len(graph.sends) == len(waits) + 1 == MOST_ATTEMPTS + 1
    assert waits[0] >= 59
    assert 20 * 3600 < sum(waits) < 30 * 3600
    assert len(kernel.withdrawn) == len(graph.sends)
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    assert len(graph.sends) == MOST_ATTEMPTS + 2


@pytest.mark.parametrize(("language", "is_ours"), [("en_US", True), ("en_GB", False)])
async def test_a_template_that_works_again_ends_its_pause(language: str, is_ours: bool) -> None:
    works: list[bool] = []
    graph = KeptGraph(lambda _: None if works else refused(132015))
    asking = Asking(graph, Granting())
    await asking.ask(*CROWD)
    works.append(True)
    asking.works("come_back", language)
    await asking.settled()
    assert len(graph.sends) == (1 + len(CROWD) if is_ours else 1)
    assert len(asking._postponed) == (0 if is_ours else len(CROWD))
    await asking.close()


async def test_the_newest_reply_is_the_one_that_asks() -> None:
    """An earlier one may have been replaced while no template could be sent."""
    works: list[bool] = []
    graph, kernel = KeptGraph(lambda _: None if works else refused(132015)), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    asking.clock.now = REPEAT_SECONDS
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    works.append(True)
    await asking.after(PAUSE_SECONDS)
    assert kernel.claims == ["rp_1", "rp_2", "rp_2"]
    assert graph.sends[-1][1]["biz_opaque_callback_data"] == "invitation/plain/1/rp_2/gateway-1"


async def test_a_later_reply_asks_if_the_postponed_one_no_longer_waits() -> None:
    graph, kernel = KeptGraph(lambda _: refused(131000) if len(kernel.claims) == 1 else None), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    kernel.answer = NoInvitation()
    await asking.after(60)
    kernel.answer = Invitation()
    await asking.ask("whatsapp:US.1", reply_id="rp_2")
    assert graph.people == ["US.1", "US.1"]


async def test_an_answer_that_is_not_known_counts_as_sent() -> None:
    graph, kernel = KeptGraph(lambda _: Ambiguous("timeout")), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    await asking.after(REPEAT_SECONDS - 1)
    assert (len(graph.sends), kernel.withdrawn) == (1, [])


async def test_the_postponed_people_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST_POSTPONED", 10)
    asking = Asking(KeptGraph(lambda _: refused(132015)), Granting())
    await asking.ask(*CROWD)
    assert len(asking._postponed) == 10
    await asking.close()


# --- refusals by a status -----------------------------------------------------------------------------------------


def named(attempt: int = 0, process: str = "gateway-1") -> InvitationName:
    return InvitationName("plain", attempt, "rp_1", process)


async def test_a_template_that_is_paused_after_it_was_accepted_is_sent_later() -> None:
    graph, kernel = KeptGraph(), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    for _ in range(2):  # WhatsApp delivers webhooks repeatedly
        asking.refused_later("42", named(process="gateway-0"), "132015", "whatsapp:US.1")
        await asking.settled()
    assert kernel.withdrawn == ["rp_1 rp_1/0/gateway-0"] * 2
    await asking.ask("whatsapp:US.2")
    assert graph.people == ["US.1"]
    await asking.after(PAUSE_SECONDS)
    assert sorted(graph.people) == ["US.1", "US.1", "US.2"]
    names = [body["biz_opaque_callback_data"] for _, body in graph.sends]
    assert max(names) == "invitation/plain/1/rp_1/gateway-1"


async def test_a_person_whom_whatsapp_spares_marketing_is_not_asked_again() -> None:
    graph, kernel = KeptGraph(), Granting()
    asking = Asking(graph, kernel)
    await asking.ask(*CROWD)
    for person in CROWD:
        asking.refused_later("42", named(), "131049", person)
    await asking.after(PAUSE_SECONDS)
    assert (len(graph.sends), kernel.withdrawn, asking.alerts()) == (len(CROWD), [], 1)


@pytest.mark.parametrize("code", ["132005", "132018", "100"])
async def test_a_text_that_a_status_refuses_pauses_no_template(code: str) -> None:
    graph, kernel = KeptGraph(), Granting()
    asking = Asking(graph, kernel)
    await asking.ask("whatsapp:US.1")
    asking.refused_later("42", named(), code, "whatsapp:US.1")
    await asking.ask("whatsapp:US.2")
    assert (graph.people, kernel.withdrawn, asking.alerts()) == (["US.1", "US.2"], [], 1)


@pytest.mark.parametrize("status", ["held_for_quality_assessment", "paused"])
async def test_a_template_that_whatsapp_holds_is_one_alert(status: str) -> None:
    graph = KeptGraph(lambda _: Sent("wamid.1", status))
    asking = Asking(graph, Granting())
    await asking.ask(*CROWD)
    assert (len(graph.sends), asking.alerts()) == (len(CROWD), 1)


async def test_a_status_about_a_template_that_is_no_longer_set_does_nothing() -> None:
    asking = Asking(KeptGraph(), Granting(), REMINDER)
    asking.refused_later("42", named(), "132015", "whatsapp:US.1")
    asking.refused_later("42", named()._replace(kind="reminder"), "131000")
    assert not asking._tasks


def test_remedies_are_those_of_the_table() -> None:
    assert refused(131042).remedy is Remedy.OPEN_CIRCUIT
    assert refused(132018).remedy is Remedy.GIVE_UP
