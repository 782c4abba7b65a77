"""People write and change ids and numbers, reported late, twice and in any order: no person becomes another."""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel_service.ports.messages import Reply
from kernel_service.ports.people import LinkOutcome
from tests.contract.store.outbox import pull
from tests.contract.store.people import ADDRESS, NOW, connect, strong, weak, write

if TYPE_CHECKING:
    from kernel_service.ports.messages import Alias
    from kernel_service.storage.store import Store

# The examples share a database, so each has separate ids.
at_random = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


# --- permanent ids, against a model ----------------------------------------------------------------------------------


@dataclass
class Model:
    """The identity of each person, by the contract. People are numbered in the order of their first message."""

    owner: dict[str, int] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    connected: set[int] = field(default_factory=set)
    told: set[tuple[str, str]] = field(default_factory=set)
    early: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def person_of(self, name: str) -> int | None:
        person = self.owner.get(name)
        while person in self.merged:
            person = self.merged[person]
        return person

    def write(self, name: str) -> int:
        if name not in self.owner:
            self.owner[name] = self.count
            self.count += 1
        person = self.person_of(name)
        assert person is not None
        return person

    def link(self, previous: str, current: str) -> LinkOutcome:
        changes, done = [(previous, current)], []
        for change in changes:
            self.early = [one for one in self.early if one != change]
            done.append(self.follow(*change))
            if done[-1] is LinkOutcome.UNKNOWN:
                self.early.append(change)
            else:
                changes += [one for one in self.early if one[0] == change[1]]
                self.early = [one for one in self.early if one[0] != change[1]]
        return done[0]

    def follow(self, previous: str, current: str) -> LinkOutcome:
        person, other = self.person_of(previous), self.person_of(current)
        if (previous, current) in self.told:
            return LinkOutcome.LINKED
        if person is None:
            return LinkOutcome.UNKNOWN
        if other is not None and other != person and {person, other} <= self.connected:
            return LinkOutcome.KEPT_APART
        self.told.add((previous, current))
        if other is None:
            self.owner[current] = person
        elif other != person:
            self.merge(person, other)
            return LinkOutcome.MERGED
        return LinkOutcome.LINKED

    def merge(self, one: int, other: int) -> None:
        older, newer = sorted((one, other))
        if older == newer:
            return
        self.merged[newer] = older
        if newer in self.connected:
            self.connected.add(older)


names = st.sampled_from("abcd")
deeds = st.one_of(
    st.tuples(st.just("write"), names, names),
    st.tuples(st.sampled_from(["link", "link", "merge", "connect"]), names, names),
)


@given(st.lists(deeds, max_size=20))
@at_random
async def test_people_are_who_the_contract_says(store: Store, script: list[tuple[str, str, str]]) -> None:
    model, run = Model(), secrets.token_hex(4)
    ids = {name: strong(f"{run}-{name}") for name in "abcd"}
    people: dict[int, str] = {}
    said: defaultdict[int, int] = defaultdict(int)
    for step, (deed, one, other) in enumerate(script):
        now = NOW + step
        person = model.person_of(one)
        if deed == "write":
            person_id = (await write(store, ids[one], now=now)).person_id
            person = model.write(one)
            assert people.setdefault(person, person_id) == person_id
            said[person] += 1
        elif deed == "link":
            outcome = (await store.merging.link(ids[one], ids[other], now=now)).outcome
            assert outcome is model.link(one, other)
        elif person is not None and deed == "connect":
            await connect(store, people[person])
            model.connected.add(person)
        elif person is not None and (second := model.person_of(other)) is not None:
            merged = await store.merging.merge(people[person], people[second], now=now)
            model.merge(person, second)
            assert merged.person_id == people[min(person, second)]
    for name, alias in ids.items():
        expected = model.person_of(name)
        assert await store.people.last_person_of(alias.user_id) == (None if expected is None else people[expected])
    heard: defaultdict[int, int] = defaultdict(int)
    for person, messages in said.items():
        survivor = person
        while survivor in model.merged:
            survivor = model.merged[survivor]
        heard[survivor] += messages
    for person, messages in heard.items():
        _, waiting, _ = await store.admin.turns(people[person], limit=100, before="")
        assert len(waiting) == messages


# --- recycled numbers -------------------------------------------------------------------------------------------------


@dataclass
class Notice:
    """The network's notice of a change, which may repeat. `about`: the number that it is about."""

    previous: Alias
    current: Alias
    about: tuple[int, ...] = ()
    told: int = 0


@dataclass
class Human:
    """`version` of their strong id; None: there is none. `spare`: the network names them only by their number."""

    name: str
    version: int | None
    spare: bool = False
    number: int | None = None

    def ids(self, run: str) -> list[Alias]:
        number = [] if self.number is None else [weak(f"{run}+{self.number}")]
        return number if self.version is None else [self.strong(run), *number]

    def strong(self, run: str) -> Alias:
        return strong(f"{run}-{self.name}{self.version}")


class Network:
    """A number is recycled only after the notices about it are delivered: networks take weeks for that."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.run = secrets.token_hex(4)
        self.humans = [Human("a", 0), Human("b", 0, spare=True), Human("c", None), Human("d", None)]
        self.notices: list[Notice] = []
        self.people: defaultdict[str, set[str]] = defaultdict(set)
        self.own: defaultdict[str, set[str]] = defaultdict(set)
        self.now = NOW

    async def step(self, deed: str, who: int, number: int) -> None:
        self.now += 1
        human = self.humans[who]
        if deed == "write":
            await self.write(human)
        elif deed == "move":
            self.move(human, number)
        elif deed == "tell" and self.notices:
            await self.tell(self.notices[number % len(self.notices)])
        elif deed == "connect" and self.people[human.name]:
            await connect(self.store, min(self.people[human.name]))
        await self.look()

    async def write(self, human: Human) -> None:
        if ids := human.ids(self.run):
            accepted = await write(self.store, *ids, text=human.name, now=self.now)
            self.people[human.name].add(accepted.person_id)
            self.own[human.name] |= {one.user_id for one in ids}
            note = Reply(human.name)
            await self.store.outbox.notify(accepted.person_id, note, channel="test", address=ADDRESS, now=self.now)

    def move(self, human: Human, number: int) -> None:
        """They take a free number, and are a new person to the network, which knows both."""
        if not self.free(number):
            return
        was, held = human.ids(self.run), human.number
        human.number = number
        if held is None:
            return
        if human.version is not None:
            human.version += 1
        now = human.ids(self.run)
        named = was[-1] if human.spare else was[0]
        about = (held, number) if human.version is None else (held,)
        self.notices.append(Notice(named, now[0], () if named.strong else about))

    def free(self, number: int) -> bool:
        held = any(human.number == number for human in self.humans)
        return not held and not any(number in notice.about and not notice.told for notice in self.notices)

    async def tell(self, notice: Notice) -> None:
        notice.told += 1
        await self.store.merging.link(notice.previous, notice.current, now=self.now)

    async def look(self) -> None:
        """Pending replies now: each goes to an id of the same human."""
        for lease in await pull(self.store, limit=1000, seconds=1e9, now=self.now):
            assert lease.user_id in self.borne_by(lease.reply.reply.text)

    def borne_by(self, name: str) -> set[str]:
        [human] = [human for human in self.humans if human.name == name]
        others = {one.user_id for other in self.humans if other is not human for one in other.ids(self.run)}
        return (self.own[name] | {one.user_id for one in human.ids(self.run)}) - others

    async def check(self) -> None:
        """No person is two humans."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, people in self.people.items():
            for person_id in people:
                found[await self.store.people.surviving(person_id)].add(name)
        assert all(len(names) == 1 for names in found.values())

    async def tell_all(self) -> None:
        for notice in reversed(self.notices):
            await self.tell(notice)


moves: Any = st.tuples(
    st.sampled_from(["write", "write", "move", "move", "tell", "tell", "connect"]), st.integers(0, 3), st.integers(0, 5)
)


@given(st.lists(moves, max_size=30))
# A replaced number, taken over by a person known by nothing else, and reported once more.
@example(
    [
        ("move", 2, 0), ("write", 2, 0), ("move", 2, 1), ("tell", 0, 0),
        ("move", 3, 0), ("write", 3, 0), ("tell", 0, 0), ("write", 3, 0), ("write", 2, 0),
    ]
)  # fmt: skip
@at_random
async def test_no_person_becomes_another(store: Store, script: list[tuple[str, int, int]]) -> None:
    network = Network(store)
    for step in script:
        await network.step(*step)
    await network.check()
    await network.tell_all()
    await network.look()
    await network.check()
    whole = {await store.people.surviving(person_id) for person_id in network.people["a"]}
    if not await store.merging.kept_apart_pairs():
        assert len(whole) <= 1  # all changes were reported, by permanent ids
