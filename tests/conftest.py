"""Marks that follow from the kind of a test, and the PostgreSQL server that all tests of a process share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.pristine_postgres import PristineDatabases

# A make that a test starts is not part of the make that started the tests: it would print where it enters.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        help="only the tests that are about PostgreSQL and its servers, or only the others (default: both)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Property tests run hundreds of examples: they are slow."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.slow)
    if database := config.getoption("--database"):
        chosen = [item for item in items if _is_about_postgresql(item) is (database == "postgresql")]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


def _is_about_postgresql(item: pytest.Item) -> bool:
    """By the name of its file, its parameters or its fixtures."""
    return any("postgres" in name for name in (item.nodeid, *getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def pristine_postgres() -> Iterator[PristineDatabases]:
    from tests.pristine_postgres import pristine_databases  # noqa: PLC0415 - most tests need no database

    with pristine_databases() as databases:
        yield databases


@pytest.fixture(scope="session")
def postgres(pristine_postgres: PristineDatabases) -> Callable[[str], str]:
    """Returns the URL of a database of the server, by its name."""
    return pristine_postgres.uri


@pytest.fixture
async def postgres_url(pristine_postgres: PristineDatabases) -> AsyncIterator[str]:
    """A migrated database without a row of a test."""
    name = await pristine_postgres.take()
    yield pristine_postgres.uri(name)
    await pristine_postgres.give_back(name)
