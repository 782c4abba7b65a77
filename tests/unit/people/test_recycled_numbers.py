"""Numbers pass between people at random, and no person is ever mistaken for another."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kernel_service.people.identity import FoundAlias, key, resolve
from kernel_service.ports.messages import Alias

people = st.integers(0, 4)
numbers = st.integers(0, 2)


def strong(human: int) -> Alias:
    return Alias(f"test:US.{human}")


def weak(number: int) -> Alias:
    return Alias(f"test:+{number}", strong=False)


@dataclass
class Directory:
    """The alias table, kept as `resolve` says."""

    owners: dict[tuple[str, str], tuple[Alias, str]] = field(default_factory=dict)
    minted: int = 0

    def person_of(self, *given: Alias) -> str:
        found = [self._found(alias) for alias in given if key(alias) in self.owners]
        resolution = resolve(found, given)
        person_id = resolution.person_id or self._mint()
        for alias in resolution.attach:
            assert key(alias) not in self.owners
            self.owners[key(alias)] = (alias, person_id)
        for alias in resolution.move:
            kept, former = self.owners[key(alias)]
            assert not kept.strong
            assert former != person_id
            self.owners[key(alias)] = (alias, person_id)
        return person_id

    def strong_ids(self, person_id: str) -> list[Alias]:
        return [alias for alias, owner in self.owners.values() if owner == person_id and alias.strong]

    def _found(self, alias: Alias) -> FoundAlias:
        kept, person_id = self.owners[key(alias)]
        return FoundAlias(kept, person_id, any(other != kept for other in self.strong_ids(person_id)))

    def _mint(self) -> str:
        self.minted += 1
        return f"person-{self.minted}"


class Network(RuleBasedStateMachine):
    """Five humans and three numbers that anybody may hold in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Directory()
        self.person_of_human: dict[int, str] = {}

    @rule(human=people)
    def writes_without_a_number(self, human: int) -> None:
        self._writes(human, strong(human))

    @rule(human=people, number=numbers)
    def writes_from_a_number(self, human: int, number: int) -> None:
        self._writes(human, strong(human), weak(number))

    @rule(human=people, old=numbers, new=numbers)
    def writes_with_the_ids_in_any_order(self, human: int, old: int, new: int) -> None:
        self._writes(human, *{key(alias): alias for alias in (weak(new), strong(human), weak(old))}.values())

    @rule(number=numbers)
    def somebody_writes_from_a_bare_number(self, number: int) -> None:
        person_id = self.directory.person_of(weak(number))
        assert self.directory.strong_ids(person_id) == []
        assert self.directory.person_of(weak(number)) == person_id

    def _writes(self, human: int, *given: Alias) -> None:
        person_id = self.directory.person_of(*given)
        assert self.person_of_human.setdefault(human, person_id) == person_id

    @invariant()
    def nobody_is_two_humans(self) -> None:
        assert len(set(self.person_of_human.values())) == len(self.person_of_human)

    @invariant()
    def every_strong_id_names_its_human_alone(self) -> None:
        for human, person_id in self.person_of_human.items():
            assert self.directory.strong_ids(person_id) == [strong(human)]


Network.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestRecycledNumbers = Network.TestCase
