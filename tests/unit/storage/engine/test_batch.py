"""Groups whose units meet a contended lock: what commits, what is repeated, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_service.storage.engine.batch import Work, commit


class Contended(Exception):
    """Another process holds the lock."""


class Database:
    """`is_committed`: the answer to the COMMIT was lost, and the same group comes again."""

    def __init__(self) -> None:
        self.is_committed = False
        self.held: set[str] = set()
        self.ran: list[str] = []
        """The units that are committed, and those of the open transaction."""
        self._begun = 0

    def __enter__(self) -> Any:
        self._begun = len(self.ran)
        return None if self.is_committed else self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            del self.ran[self._begun :]

    def control(self, *commands: str) -> None: ...

    def breaks_batch(self, _: Exception) -> bool:
        return False

    def contended(self, error: Exception) -> bool:
        return isinstance(error, Contended)


def work(name: str, key: str = "") -> Work:
    def unit(tx: Any) -> str:
        if name in tx.held:
            raise Contended
        tx.ran.append(name)
        return name

    return Work(unit, None, key=key)


def names(works: list[Work], of: dict[str, Work]) -> list[str]:
    return [name for each in works for name, one in of.items() if one is each]


@pytest.fixture
def database() -> Database:
    return Database()


def test_a_group_commits_up_to_the_contended_unit(database: Database) -> None:
    keys = {"a": "1", "b": "2", "c": "2", "d": "", "e": "3"}
    works = {name: work(name, key) for name, key in keys.items()}
    database.held = {"b"}
    left = commit([*works.values()], database)
    assert database.ran == ["a"]
    assert works["b"].contentions == 1, "it waits for the lock once"
    assert names(left, works) == ["d", "e", "b", "c"], "those of the same key follow it, the others come first"
    database.held = set()
    assert commit(left, database) == []
    assert database.ran == ["a", "d", "e", "b", "c"]
    assert [each.result for each in works.values()] == [*works]


def test_units_without_a_key_do_not_follow_each_other(database: Database) -> None:
    works = {name: work(name) for name in "abc"}
    database.held = {"a"}
    assert names(commit([*works.values()], database), works) == ["b", "c", "a"]


def test_a_contended_unit_alone_is_repeated(database: Database) -> None:
    one = work("a")
    database.held = {"a"}
    assert commit([one], database) == [one]
    assert commit([one], database) == [one]
    assert one.contentions == 2
    database.held = set()
    assert commit([one], database) == []
    assert (one.result, one.error) == ("a", None)


@pytest.mark.parametrize("many", [1, 3])
def test_a_group_whose_commit_was_not_answered_repeats_only_what_it_lacks(database: Database, many: int) -> None:
    works = {name: work(name) for name in "abc"[:many]}
    database.held = {"b"}
    left = commit([*works.values()], database)
    ran = [*database.ran]
    database.is_committed = True
    assert commit([*works.values()], database) == left
    assert database.ran == ran == ["a"]
