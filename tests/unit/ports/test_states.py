"""The tables of transitions: what they allow, how they are drawn, and that nothing names a state past them."""

from __future__ import annotations

import ast
from enum import StrEnum
from pathlib import Path

import pytest

from checks.reference.states import CONCERNS
from kernel_service.ports.states.part import PART, PartState
from kernel_service.ports.states.reply import REPLY, ReplyState
from kernel_service.ports.states.state_machine import ForbiddenTransitionError, StateMachine, Transition

MACHINES = {concern.title: concern.machine for concern in CONCERNS}
STORAGE = Path(__file__).parents[3] / "kernel_service" / "storage"


class Light(StrEnum):
    OFF = ""
    ON = "on"
    BROKEN = "broken"


LIGHT = StateMachine(
    Light,
    (
        Transition("made", (), Light.OFF),
        Transition("pressed", (Light.OFF,), Light.ON),
        Transition("released", (Light.ON,), Light.OFF),
        Transition("dropped", (Light.OFF, Light.ON), Light.BROKEN),
    ),
)


def test_a_transition_that_the_table_lacks_is_refused() -> None:
    LIGHT.check(Light.OFF, Light.ON)
    LIGHT.check(Light.BROKEN, Light.BROKEN)
    with pytest.raises(ForbiddenTransitionError, match="Light: broken cannot become off"):
        LIGHT.check(Light.BROKEN, Light.OFF)


def test_a_statement_is_given_the_sources_of_its_target() -> None:
    assert LIGHT.sources(Light.BROKEN) == ["", "on"]
    assert LIGHT.sources(Light.ON) == [""]


def test_a_machine_is_drawn_with_names_beginnings_and_ends() -> None:
    assert LIGHT.mermaid().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> off: made",
        "    off --> on: pressed",
        "    on --> off: released",
        "    off --> broken: dropped",
        "    on --> broken: dropped",
        "    broken --> [*]",
    ]


def test_a_machine_with_many_arrows_is_drawn_with_the_numbers_of_its_events() -> None:
    often = StateMachine(Light, (*LIGHT.transitions, Transition("struck", (Light.ON,), Light.BROKEN)))
    assert often.mermaid(numbered=True).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> off: 1",
        "    off --> on: 2",
        "    on --> off: 3",
        "    off --> broken: 4",
        "    on --> broken: 4, 5",
        "    broken --> [*]",
    ]


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_can_be_reached(name: str) -> None:
    machine = MACHINES[name]
    reached = {each.target for each in machine.transitions if not each.sources}
    for _ in machine.states:
        reached |= {each.target for each in machine.transitions if reached & set(each.sources)}
    assert [state for state in machine.states if state not in reached] == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (ReplyState.SENT, ReplyState.LEASED),
        (ReplyState.FAILED, ReplyState.PENDING),
        (ReplyState.INLINE, ReplyState.SENT),
    ],
)
def test_a_settled_reply_is_not_leased_again(source: ReplyState, target: ReplyState) -> None:
    assert not REPLY.allows(source, target)


def test_delivered_part_cannot_become_failed_or_sent() -> None:
    assert not PART.allows(PartState.DELIVERED, PartState.FAILED)
    assert not PART.allows(PartState.READ, PartState.SENT)


# --- no state is named outside of the tables --------------------------------------------------------------------------

STATES = {state.value for machine in MACHINES.values() for state in machine.states if state.value}


def raw_states(source: str) -> list[int]:
    """The lines that compare with, assign or store a state by its text."""
    found: list[int] = []
    for node in ast.walk(ast.parse(source)):
        told: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            told = [node.left, *node.comparators]
        elif isinstance(node, ast.keyword) and node.arg in {"state", "status", "receipt"}:
            told = [node.value]
        elif isinstance(node, ast.Dict):
            keyed = zip(node.keys, node.values, strict=True)
            told = [value for key, value in keyed if isinstance(key, ast.Constant) and key.value in {"state", "status"}]
        for value in told:
            leaves = [value, *value.elts] if isinstance(value, ast.Tuple | ast.List | ast.Set) else [value]
            found += [leaf.lineno for leaf in leaves if isinstance(leaf, ast.Constant) and leaf.value in STATES]
    return found


@pytest.mark.parametrize(
    "source",
    ["row.state == 'leased'", "update(x).values(state='held')", "{'status': 'running'}", "s in ('sent', 1)"],
)
def test_raw_states_are_found(source: str) -> None:
    assert raw_states(source) == [1]


@pytest.mark.parametrize("file", [path for path in STORAGE.rglob("*.py") if "migrations" not in path.parts], ids=str)
def test_the_storage_names_no_state_by_its_text(file: Path) -> None:
    source = file.read_text()
    assert raw_states(source) == [], "a state as text: write the member of its enum in ports/states"
    quoted = [state for state in STATES if f"'{state}'" in source]
    assert quoted == [], "SQL with a state in it"
