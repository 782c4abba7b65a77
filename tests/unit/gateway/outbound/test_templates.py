"""A person who was asked to write is not asked again for a day, and the memory for this is bounded."""

from typing import Any

import pytest

from tests.clock import Clock
from whatsapp_gateway.graph.api import Ambiguous, GraphApi, Refused, Sent
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound import templates
from whatsapp_gateway.outbound.templates import REPEAT_SECONDS, Template, WindowTemplates


class KeptGraph(GraphApi):
    def __init__(self) -> None:
        self.bodies: list[tuple[str, Any]] = []

    async def send(self, number: str, body: Any, timeout: float) -> Sent:
        self.bodies.append((number, body))
        return Sent("wamid.1")


class Granting(KernelClient):
    """Answers each claim with `answer`, and keeps what was withdrawn."""

    def __init__(self, answer: bool | KernelCallError = True) -> None:
        self.answer = answer
        self.claims: list[str] = []
        self.withdrawn: list[str] = []

    async def claim_invitation(self, instance_id: str, reply_id: str, timeout: float) -> bool:
        self.claims.append(reply_id)
        if isinstance(self.answer, KernelCallError):
            raise self.answer
        return self.answer

    async def withdraw_invitation(self, instance_id: str, reply_id: str, timeout: float) -> None:
        self.withdrawn.append(reply_id)


def asking_with(graph: GraphApi, clock: Clock, kernel: KernelClient | None = None) -> WindowTemplates:
    return WindowTemplates(graph, kernel or Granting(), Metrics(), Template("come_back", "en_US"), "gateway-1", clock)


async def test_once_a_day_per_person_and_number() -> None:
    graph, clock = KeptGraph(), Clock(0.0)
    asking = asking_with(graph, clock)
    for clock.now in (0, 1, REPEAT_SECONDS - 1):
        asking.window_closed("42", "rp_1", "whatsapp:US.1")
    asking.window_closed("43", "rp_1", "whatsapp:US.1")
    asking.window_closed("42", "rp_1", "whatsapp:15550001")
    clock.now = REPEAT_SECONDS
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    template = {"type": "template", "template": {"name": "come_back", "language": {"code": "en_US"}}}
    one = {"recipient_type": "individual", "recipient": "US.1"} | template
    other = {"recipient_type": "individual", "to": "15550001"} | template
    assert graph.bodies == [("42", one), ("43", one), ("42", other), ("42", one)]


async def test_one_person_is_asked_once_under_any_of_their_ids() -> None:
    graph, clock = KeptGraph(), Clock(0.0)
    asking = asking_with(graph, clock)
    asking.window_closed("42", "rp_1", "whatsapp:15550001")  # rejected at once, by the id that it was sent to
    clock.now = REPEAT_SECONDS - 1
    asking.window_closed("42", "rp_1", "whatsapp:US.1", "whatsapp:15550001")  # by a status, which names both
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    assert [body.get("to") for _, body in graph.bodies] == ["15550001"]
    clock.now = REPEAT_SECONDS
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    assert [body.get("to") or body["recipient"] for _, body in graph.bodies] == ["15550001", "US.1"]


async def test_of_several_ids_the_best_is_asked_and_the_others_are_not() -> None:
    graph = KeptGraph()
    asking = asking_with(graph, Clock(0.0))
    asking.window_closed("42", "rp_1", "whatsapp:US.1", "whatsapp:15550001")
    asking.window_closed("42", "rp_1", "whatsapp:15550001")
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    assert [body["recipient"] for _, body in graph.bodies] == ["US.1"]


async def test_a_person_without_an_address_is_not_asked() -> None:
    graph = KeptGraph()
    asking = asking_with(graph, Clock(0.0))
    asking.window_closed("42", "rp_1")
    asking.window_closed("42", "rp_1", "")
    await asking.close()
    assert graph.bodies == []


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST_REMEMBERED", 10)
    asking = asking_with(KeptGraph(), Clock(0.0))
    for number in range(100):
        asking.window_closed("42", "rp_1", f"whatsapp:US.{number}")
    assert len(asking._asked_at) == 10
    await asking.close()


class Failing(GraphApi):
    def __init__(self, result: Refused | Ambiguous) -> None:
        self.result = result

    async def send(self, number: str, body: Any, timeout: float) -> Refused | Ambiguous:
        return self.result


async def test_a_template_that_another_gateway_sent_is_not_sent() -> None:
    graph, kernel = KeptGraph(), Granting(answer=False)
    asking = asking_with(graph, Clock(0.0), kernel)
    for _ in range(2):
        asking.window_closed("42", "rp_1", "whatsapp:US.1")
        await asking.close()
    assert graph.bodies == []
    assert kernel.claims == ["rp_1"]


async def test_without_the_services_answer_nothing_is_sent_until_the_next_reply() -> None:
    graph, kernel = KeptGraph(), Granting(KernelCallError("UNAVAILABLE"))
    asking = asking_with(graph, Clock(0.0), kernel)
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    assert graph.bodies == []
    kernel.answer = True
    asking.window_closed("42", "rp_2", "whatsapp:US.1")
    await asking.close()
    assert len(graph.bodies) == 1


@pytest.mark.parametrize(
    ("result", "withdrawn"), [(Refused("132001", Remedy.GIVE_UP), ["rp_1"]), (Ambiguous("timeout"), [])]
)
async def test_a_template_that_was_certainly_not_sent_is_withdrawn(
    result: Refused | Ambiguous, withdrawn: list[str]
) -> None:
    kernel = Granting()
    asking = asking_with(Failing(result), Clock(0.0), kernel)
    asking.window_closed("42", "rp_1", "whatsapp:US.1")
    await asking.close()
    assert kernel.withdrawn == withdrawn
    asking.window_closed("42", "rp_2", "whatsapp:US.1")
    await asking.close()
    assert len(kernel.claims) == 1 + len(withdrawn)
