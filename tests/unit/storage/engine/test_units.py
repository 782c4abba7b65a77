"""Methods of a store as units of work: their transaction, their order, and their signature for callers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.storage.engine.units import SqlPort, reads, writes, writes_alone, writes_apart, writes_behind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.engine.engine import Tx

TX: Any = "a transaction"


@dataclass
class Engine:
    """Records how each unit was submitted, and runs it `runs` times."""

    handed: list[tuple[str, str]] = field(default_factory=list)
    noted: list[Any] = field(default_factory=list)
    runs: int = 1

    async def read(self, unit: Callable[[Tx], Any]) -> Any:
        return self._run(unit, "read", "")

    async def write(self, unit: Callable[[Tx], Any], person_id: str = "") -> Any:
        return self._run(unit, "write", person_id)

    async def write_apart(self, unit: Callable[[Tx], Any]) -> Any:
        return self._run(unit, "write_apart", "")

    async def write_alone(self, unit: Callable[[Tx], Any]) -> Any:
        return self._run(unit, "write_alone", "")

    def write_behind(self, unit: Callable[[Tx], Any], person_id: str = "") -> None:
        self.noted.append(self._run(unit, "write_behind", person_id))

    def _run(self, unit: Callable[[Tx], Any], how: str, key: str) -> Any:
        self.handed.append((how, key))
        return [unit(TX) for _ in range(self.runs)][-1]


@dataclass(frozen=True)
class Ball:
    person_id: str


class SqlBalls(SqlPort):
    @reads
    def read(self, tx: Tx, name: str, *, most: int = 1) -> list[Any]:
        """Some balls."""
        return [tx, name, most]

    @writes()
    def count(self, tx: Tx) -> Any:
        return tx

    @writes(in_order_of="person_id")
    def keep(self, tx: Tx, weight: int, person_id: str) -> list[Any]:
        return [tx, weight, person_id]

    @writes(in_order_of="ball.person_id")
    def throw(self, tx: Tx, ball: Ball, *, far: bool = False) -> list[Any]:
        return [tx, ball, far]

    @writes_behind(in_order_of="ball.person_id")
    def mark(self, tx: Tx, ball: Ball, *, deep: bool = False) -> list[Any]:
        """A note."""
        return [tx, ball, deep]

    @writes_alone
    def bounce(self, tx: Tx, times: int) -> list[Any]:
        return [tx, times]

    @writes_apart
    def paint(self, tx: Tx, color: str) -> list[Any]:
        return [tx, color]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def balls(engine: Any) -> SqlBalls:
    return SqlBalls(engine)


async def test_a_read_gets_a_transaction_and_its_arguments(balls: SqlBalls, engine: Engine) -> None:
    assert await balls.read("red", most=3) == [TX, "red", 3]
    assert await balls.read(name="red") == [TX, "red", 1]
    assert engine.handed == [("read", "")] * 2


async def test_a_write_without_an_order_has_no_key(balls: SqlBalls, engine: Engine) -> None:
    assert await balls.count() == TX
    assert engine.handed == [("write", "")]


async def test_a_write_is_ordered_by_the_named_argument_however_it_is_given(balls: SqlBalls, engine: Engine) -> None:
    await balls.keep(1, "ann")
    await balls.keep(1, person_id="ben")
    await balls.keep(person_id="cas", weight=1)
    assert engine.handed == [("write", "ann"), ("write", "ben"), ("write", "cas")]


async def test_a_write_is_ordered_by_an_attribute_of_an_argument(balls: SqlBalls, engine: Engine) -> None:
    assert await balls.throw(Ball("ann"), far=True) == [TX, Ball("ann"), True]
    await balls.throw(ball=Ball("ben"))
    assert engine.handed == [("write", "ann"), ("write", "ben")]


async def test_a_write_apart_runs_apart(balls: SqlBalls, engine: Engine) -> None:
    assert await balls.paint("blue") == [TX, "blue"]
    assert engine.handed == [("write_apart", "")]


async def test_a_write_alone_runs_alone(balls: SqlBalls, engine: Engine) -> None:
    assert await balls.bounce(3) == [TX, 3]
    assert engine.handed == [("write_alone", "")]


async def test_a_write_behind_is_a_plain_call_in_the_same_order(balls: SqlBalls, engine: Engine) -> None:
    assert not inspect.iscoroutinefunction(SqlBalls.mark)
    balls.mark(Ball("ann"), deep=True)
    assert engine.handed == [("write_behind", "ann")]
    assert engine.noted == [[TX, Ball("ann"), True]]
    assert SqlBalls.mark.__doc__ == "A note."


async def test_a_unit_that_runs_again_gets_the_same_arguments(balls: SqlBalls, engine: Engine) -> None:
    engine.runs = 3
    assert await balls.keep(1, "ann") == [TX, 1, "ann"]
    assert engine.handed == [("write", "ann")]


def test_an_order_by_an_unknown_argument_is_refused_at_import() -> None:
    with pytest.raises(ValueError, match="person"):

        @writes(in_order_of="person")
        def keep(self: SqlPort, tx: Tx, person_id: str) -> None:
            """Never called."""


def test_callers_see_the_method_without_its_transaction() -> None:
    assert str(inspect.signature(SqlBalls.read)) == "(self, name: 'str', *, most: 'int' = 1) -> 'list[Any]'"
    assert SqlBalls.read.__doc__ == "Some balls."
    assert inspect.iscoroutinefunction(SqlBalls.read)
