"""A person who was asked to write is not asked again for a day, and the memory for this is bounded."""

from typing import Any

import pytest

from tests.clock import Clock
from whatsapp_gateway.graph.api import GraphApi, Sent
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound import templates
from whatsapp_gateway.outbound.templates import REPEAT_SECONDS, Template, WindowTemplates


class KeptGraph(GraphApi):
    def __init__(self) -> None:
        self.bodies: list[tuple[str, Any]] = []

    async def send(self, number: str, body: Any, timeout: float) -> Sent:
        self.bodies.append((number, body))
        return Sent("wamid.1")


async def test_once_a_day_per_person_and_number() -> None:
    graph, clock = KeptGraph(), Clock(0.0)
    asking = WindowTemplates(graph, Metrics(), Template("come_back", "en_US"), clock)
    for clock.now in (0, 1, REPEAT_SECONDS - 1):
        asking.window_closed("42", "whatsapp:US.1")
    asking.window_closed("43", "whatsapp:US.1")
    asking.window_closed("42", "whatsapp:15550001")
    clock.now = REPEAT_SECONDS
    asking.window_closed("42", "whatsapp:US.1")
    await asking.close()
    template = {"type": "template", "template": {"name": "come_back", "language": {"code": "en_US"}}}
    one = {"recipient_type": "individual", "recipient": "US.1"} | template
    other = {"recipient_type": "individual", "to": "15550001"} | template
    assert graph.bodies == [("42", one), ("43", one), ("42", other), ("42", one)]


async def test_one_person_is_asked_once_under_any_of_their_ids() -> None:
    graph, clock = KeptGraph(), Clock(0.0)
    asking = WindowTemplates(graph, Metrics(), Template("come_back", "en_US"), clock)
    asking.window_closed("42", "whatsapp:15550001")  # rejected at once, by the id that it was sent to
    clock.now = REPEAT_SECONDS - 1
    asking.window_closed("42", "whatsapp:US.1", "whatsapp:15550001")  # by a status, which names both
    asking.window_closed("42", "whatsapp:US.1")
    await asking.close()
    assert [body.get("to") for _, body in graph.bodies] == ["15550001"]
    clock.now = REPEAT_SECONDS
    asking.window_closed("42", "whatsapp:US.1")
    await asking.close()
    assert [body.get("to") or body["recipient"] for _, body in graph.bodies] == ["15550001", "US.1"]


async def test_of_several_ids_the_best_is_asked_and_the_others_are_not() -> None:
    graph = KeptGraph()
    asking = WindowTemplates(graph, Metrics(), Template("come_back", "en_US"), Clock(0.0))
    asking.window_closed("42", "whatsapp:US.1", "whatsapp:15550001")
    asking.window_closed("42", "whatsapp:15550001")
    asking.window_closed("42", "whatsapp:US.1")
    await asking.close()
    assert [body["recipient"] for _, body in graph.bodies] == ["US.1"]


async def test_a_person_without_an_address_is_not_asked() -> None:
    graph = KeptGraph()
    asking = WindowTemplates(graph, Metrics(), Template("come_back", "en_US"), Clock(0.0))
    asking.window_closed("42")
    asking.window_closed("42", "")
    await asking.close()
    assert graph.bodies == []


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST_REMEMBERED", 10)
    asking = WindowTemplates(KeptGraph(), Metrics(), Template("come_back", "en_US"), Clock(0.0))
    for number in range(100):
        asking.window_closed("42", f"whatsapp:US.{number}")
    assert len(asking._asked_at) == 10
    await asking.close()
