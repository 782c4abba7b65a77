"""A statement run by the driver does what SQLAlchemy does with it: the same rows, the same counts, the same errors."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.schema import CreateTable

from kernel_service.storage.engine import statements as engine_statements
from kernel_service.storage.schema.columns import Digest, Sealed, Serial, Text, empty, no, zero
from kernel_service.storage.schema.serials import NextMessageSeq

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Executable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

    Read = Callable[[Any], Any]

T = TypeVar("T")
SECRET = "a-value-that-no-text-may-hold"

things = Table(
    "thing",
    MetaData(),
    Column("seq", Serial, primary_key=True),
    Column("name", Text, unique=True),
    Column("heavy", Boolean),
    Column("weight", Float),
    Column("size", Integer),
    Column("serial", BigInteger),
    Column("raw", LargeBinary),
    Column("sealed", Sealed),
    Column("digest", Digest),
    empty("note"),
    zero("uses"),
    no("gone"),
)
dated = Table(
    "dated",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("made", Integer, default=lambda: 7, onupdate=lambda: 8),
)
"""With values that Python makes."""
other = things.alias("other")
ROWS: list[dict[str, Any]] = [
    {"name": "ball", "heavy": True, "weight": 1.5, "size": 3, "raw": b"\0\xff", "sealed": b"", "digest": b"d" * 32},
    {"name": "pen", "heavy": False, "weight": float("inf"), "serial": 2**63 - 1, "note": "\u00e9\u4e16\U0001f600"},
    {"name": "nothing"},
    {"name": "odd \0 \ud800", "weight": -0.0, "size": -(2**31), "uses": 9, "gone": True},
]
"""Each of other columns; the missing ones are NULL, or the database's default."""
BY_NAME = things.c.name == bindparam("of")
NAMED = things.c.name.in_(bindparam("names", expanding=True))
STATEMENTS: dict[str, tuple[Executable, dict[str, Any] | None]] = {
    "all columns": (select(things).order_by(things.c.seq), None),
    "one row": (select(things).where(BY_NAME), {"of": "ball"}),
    "no row": (select(things).where(BY_NAME), {"of": "unknown"}),
    "a converted text": (select(things.c.seq).where(BY_NAME), {"of": "odd \0 \ud800"}),
    "a number for a text": (select(things.c.seq).where(BY_NAME), {"of": 12}),
    "NULL given": (select(things.c.seq).where(things.c.size.is_not_distinct_from(bindparam("of"))), {"of": None}),
    "a Boolean given": (select(things.c.seq).where(things.c.heavy == bindparam("of")), {"of": True}),
    "bytes given": (select(things.c.seq).where(things.c.digest == bindparam("of")), {"of": b"d" * 32}),
    "a parameter twice": (
        select(things.c.seq).where(BY_NAME | (things.c.note == bindparam("of"))),
        {"of": "pen"},
    ),
    "its own values": (select(things.c.seq).where(things.c.size > 1, things.c.name != "pen").limit(5), None),
    "its own default": (select(things.c.seq).where(things.c.size > bindparam("of", 1)), {}),
    "a default that is given": (select(things.c.seq).where(things.c.size > bindparam("of", 1)), {"of": 100}),
    "a list": (
        select(things.c.name).where(NAMED).order_by(things.c.seq),
        {"names": ["pen", "ball", "unknown"]},
    ),
    "a list of its own": (select(things.c.name).where(things.c.name.in_(["pen", "ball"])), None),
    "an empty list": (
        select(things.c.name).where(things.c.name.in_(bindparam("names", expanding=True))),
        {"names": []},
    ),
    "not in an empty list": (
        select(func.count()).select_from(things).where(things.c.name.not_in(bindparam("names", expanding=True))),
        {"names": ()},
    ),
    "two lists and a value": (
        select(things.c.name).where(
            things.c.size > bindparam("least"),
            NAMED,
            things.c.seq.not_in(bindparam("seqs", expanding=True)),
        ),
        {"seqs": [77, 78, 79], "least": 0, "names": ["pen", "ball"]},
    ),
    "a list of pairs": (
        select(things.c.name).where(tuple_(things.c.name, things.c.size).in_(bindparam("pairs", expanding=True))),
        {"pairs": [("ball", 3), ("pen", 4)]},
    ),
    "columns of one name": (select(things.c.seq, other.c.seq).where(things.c.seq == other.c.seq), None),
    "an aggregate": (select(func.count(), func.sum(things.c.size), func.max(things.c.weight)), None),
    "a label": (select(things.c.heavy.label("is_heavy"), literal("x").label("x")).order_by(things.c.seq), None),
    "a case": (select(case((things.c.heavy, b"yes"), else_=things.c.raw).label("of")).order_by(things.c.seq), None),
    "a truth": (select(exists().where(BY_NAME)), {"of": "pen"}),
    "a union": (union_all(select(things.c.name, things.c.heavy), select(things.c.note, true())), None),
    "a function of ours": (select(NextMessageSeq() > 0), None),
    "text": (text("SELECT name, size FROM thing WHERE size = :of"), {"of": 3}),
    "text without a name": (text("SELECT 1, 2"), None),
}


@pytest.fixture
async def store(store: Store) -> Store:
    def fill(tx: Tx) -> None:
        tx.connection.execute(CreateTable(things))
        tx.connection.execute(CreateTable(dated))
        for row in ROWS:
            tx.execute(insert(things), row)

    await store.engine.write(fill)
    return store


async def both(store: Store, statement: Executable, values: Any, read: Read) -> tuple[Any, Any]:
    """The readings of the result by the driver and by SQLAlchemy. Both begin with the same rows."""

    def of(execute: Callable[[Tx], Callable[..., Any]]) -> Callable[[Tx], Any]:
        return lambda tx: _undone(tx, lambda: read(execute(tx)(statement, values)))

    driver = await store.engine.write(of(lambda tx: tx.execute))
    again = await store.engine.write(of(lambda tx: tx.execute))
    assert again == driver
    return driver, await store.engine.write(of(lambda tx: tx.connection.execute))


def _undone(tx: Tx, read: Callable[[], T]) -> T:
    with tx.connection.begin_nested() as savepoint:
        try:
            return read()
        finally:
            savepoint.rollback()


def rows(result: Any) -> list[Any]:
    return [[(type(value), repr(value)) for value in row] for row in result]


def names(result: Any) -> list[str]:
    return list(result.all()[0]._asdict())


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_rows_are_the_same(store: Store, name: str) -> None:
    driver, sqlalchemy = await both(store, *STATEMENTS[name], rows)
    assert driver == sqlalchemy


async def test_the_columns_have_the_same_names(store: Store) -> None:
    driver, sqlalchemy = await both(store, *STATEMENTS["all columns"], names)
    assert driver == sqlalchemy == [column.name for column in things.columns]


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("how", ["all", "first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none"])
async def test_rows_are_read_in_the_same_ways(store: Store, how: str, count: int) -> None:
    def read(result: Any) -> Any:
        try:
            found = getattr(result, how)()
        except Exception as error:  # noqa: BLE001 - compared
            return type(error), str(error)
        return [tuple(row) for row in found] if how == "all" else found if "scalar" in how else found and tuple(found)

    statement = select(things.c.seq, things.c.name).order_by(things.c.seq).limit(bindparam("count"))
    driver, sqlalchemy = await both(store, statement, {"count": count}, read)
    assert driver == sqlalchemy


COUNT = select(func.count(things.c.seq)).scalar_subquery()
GIVEN: dict[str, tuple[Executable, Any]] = {
    "an INSERT of few columns": (insert(things), {"name": "new"}),
    "an INSERT of many columns": (insert(things), ROWS[0] | {"name": "new"}),
    "an INSERT without values": (insert(things), {}),
    "an INSERT of many rows": (insert(things), [{"name": f"new {n}", "size": n} for n in range(40)]),
    "an INSERT of its own values": (insert(things).values(name="new", note=bindparam("said")), {"said": "hello"}),
    "an INSERT of expressions": (
        insert(things).values(name="new", size=select(func.count(things.c.seq)).scalar_subquery()),
        {},
    ),
    "an INSERT from a SELECT": (insert(things).from_select(["size"], select(things.c.size)), None),
    "an UPDATE of all": (update(things), {"size": 5, "heavy": None}),
    "an UPDATE of one": (
        update(things).where(BY_NAME).values(size=things.c.size + 1),
        {"of": "ball"},
    ),
    "an UPDATE of given columns": (update(things).where(BY_NAME), {"of": "ball", "raw": b"r"}),
    "an UPDATE of many": (
        update(things).where(BY_NAME).values(size=bindparam("to")),
        [{"of": "ball", "to": 1}, {"of": "pen", "to": 2}, {"of": "unknown", "to": 3}],
    ),
    "an UPDATE of a list": (
        update(things).where(NAMED).values(gone=True),
        {"names": ["pen", "ball"]},
    ),
    "an UPDATE of none": (update(things).where(BY_NAME).values(size=1), {"of": "unknown"}),
    "a DELETE": (delete(things).where(things.c.size > bindparam("least")), {"least": 0}),
}


@pytest.mark.parametrize("name", GIVEN)
async def test_the_changes_are_the_same(store: Store, name: str) -> None:
    statement, values = GIVEN[name]
    results: list[Any] = []
    for execute in ("driver", "sqlalchemy"):

        def change(tx: Tx, execute: str = execute) -> Any:
            run: Any = tx.execute if execute == "driver" else tx.connection.execute
            left = select(*(column for column in things.columns if column.name != "seq")).order_by(things.c.seq)
            return _undone(tx, lambda: (run(statement, values).rowcount, rows(tx.connection.execute(left))))

        results += [await store.engine.write(change), await store.engine.write(change)]
    assert results == [results[-1]] * 4


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (insert(things).returning(things), ROWS[0] | {"name": "new"}),
        (
            insert(things).returning(things.c.name, things.c.heavy),
            [{"name": f"new {n}", "heavy": True} for n in range(3)],
        ),
        (update(things).where(things.c.heavy).values(size=1).returning(things.c.raw, things.c.heavy), None),
        (delete(things).where(BY_NAME).returning(things.c.name, things.c.weight), {"of": "pen"}),
        (delete(things).where(BY_NAME).returning(things), {"of": "unknown"}),
    ],
)
async def test_returned_rows_are_the_same(store: Store, statement: Any, values: Any) -> None:
    def read(result: Any) -> Any:
        found = [row._asdict() for row in result]
        return [{name: value for name, value in row.items() if name != "seq"} for row in found]

    driver, sqlalchemy = await both(store, statement, values, read)
    assert driver == sqlalchemy


WRONG: dict[str, tuple[Executable, Any]] = {
    "a unique key": (insert(things), {"name": "ball", "note": SECRET}),
    "a unique key among many": (insert(things), [{"name": "new"}, {"name": "ball"}]),
    "a missing value": (select(things).where(BY_NAME), {}),
    "a missing value among many": (insert(things), [{"name": "new", "size": 1}, {"name": "newer"}]),
    "a value of another type": (update(things), {"raw": 5}),
    "a NULL where none may be": (update(things), {"uses": None, "note": SECRET}),
    "SQL that cannot be read": (text("SELECT FROM WHERE :of"), {"of": SECRET}),
    "an unknown table": (text("SELECT * FROM unknown WHERE a = :of"), {"of": SECRET}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_the_errors_are_the_same(store: Store, name: str) -> None:
    statement, values = WRONG[name]

    def error_of(run: Callable[..., Any]) -> Any:
        with pytest.raises(Exception) as raised:
            run(statement, values)
        error: Any = raised.value
        assert SECRET not in str(error)
        return type(error), type(getattr(error, "orig", None)), getattr(getattr(error, "orig", None), "sqlstate", "")

    driver = await store.engine.write(lambda tx: _undone(tx, lambda: error_of(tx.execute)))
    sqlalchemy = await store.engine.write(lambda tx: _undone(tx, lambda: error_of(tx.connection.execute)))
    assert driver == sqlalchemy


async def test_values_that_python_makes_are_left_to_sqlalchemy(store: Store) -> None:
    def changed(tx: Tx) -> list[Any]:
        tx.execute(insert(dated), {"name": "a"})
        tx.execute(insert(dated), [{"name": "b"}, {"name": "c"}])
        tx.execute(update(dated).where(dated.c.name == bindparam("of")).values(name="d"), {"of": "c"})
        return [tuple(row) for row in tx.execute(select(dated).order_by(dated.c.name))]

    assert await store.engine.write(changed) == [("a", 7), ("b", 7), ("d", 8)]


async def test_a_unique_key_is_told_with_its_cause(store: Store) -> None:
    with pytest.raises(IntegrityError) as raised:
        await store.engine.write(lambda tx: tx.execute(insert(things), {"name": "ball"}))
    assert raised.value.orig is raised.value.__cause__
    assert isinstance(raised.value, DBAPIError | StatementError)


async def test_a_statement_built_on_the_fly_is_forgotten(store: Store) -> None:
    def built() -> Select[Any]:
        return select(things.c.seq).where(things.c.size > 1)

    await store.engine.read(lambda tx: tx.execute(built()).all())
    gc.collect()
    before = len(store.engine.statements)
    for _ in range(5):
        await store.engine.read(lambda tx: tx.execute(built()).all())
    gc.collect()
    assert len(store.engine.statements) == before


async def test_lists_of_many_lengths_keep_few_forms(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_statements, "MOST", 4)
    statement = select(things.c.name).where(NAMED)
    for length in (*range(12), 3, 500):
        given = {"names": ["ball", *(f"unknown {n}" for n in range(length))]}
        assert await store.engine.read(names_by(statement, given)) == ["ball"]
        assert len(store.engine.statements._forms[statement].known) <= 4


def names_by(statement: Executable, given: dict[str, Any] | None = None) -> Callable[[Tx], list[str]]:
    return lambda tx: tx.execute(statement, given).scalars()


async def test_a_statement_that_many_run_at_once(store: Store) -> None:
    statement = select(things.c.name).where(things.c.seq == bindparam("of"))
    found = await asyncio.gather(*(store.engine.read(names_by(statement, {"of": n % 4 + 1})) for n in range(60)))
    assert found == found[:4] * 15
    assert len({names[0] for names in found}) == 4


async def test_a_read_that_is_cancelled_leaves_no_half_answer(store: Store) -> None:
    statement = select(things.c.name).order_by(things.c.seq)
    for _ in range(20):
        task = asyncio.ensure_future(store.engine.read(names_by(statement)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.engine.read(names_by(statement)))[:2] == ["ball", "pen"]


async def test_observers_see_each_statement(store: Store) -> None:
    seen: list[tuple[str, Any, bool]] = []
    store.engine.statements.observers.append(lambda _, sql, given, many: seen.append((sql[:6], given, many)))
    await store.engine.write(lambda tx: tx.execute(delete(things).where(BY_NAME), {"of": "pen"}))
    await store.engine.write(lambda tx: tx.execute(delete(things).where(BY_NAME), [{"of": "a"}, {"of": "b"}]))
    assert seen == [("DELETE", ["pen"], False), ("DELETE", [["a"], ["b"]], True)]
