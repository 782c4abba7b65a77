"""Each error that needs an operator says what they must do."""

from whatsapp_gateway.graph.advice import advice
from whatsapp_gateway.graph.errors import Remedy, remedy_for
from whatsapp_gateway.outbound.template_faults import OF_THE_TEMPLATE, OF_THE_TEXT

FALLBACK = advice("7")
OF_OPERATORS = [
    str(code) for code in range(140_000) if remedy_for(code, 400) in {Remedy.OPEN_CIRCUIT, Remedy.HOLD_PERSON}
]


def test_each_has_advice() -> None:
    of_templates = OF_THE_TEMPLATE - OF_THE_TEXT - {"132068", "132069"}  # of flows, which no template of ours has
    assert [code for code in [*OF_OPERATORS, *of_templates] if advice(code) == FALLBACK] == []
