"""On whose behalf something is done. Work that nobody waits for is on nobody's, and comes last.

A context variable, since vendors are asked from deep below tools that know a session or an account, not a person; a
task that is started does what it does on behalf of whoever had it started.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = ""

_person: ContextVar[str] = ContextVar("on_behalf_of", default=NOBODY)


@contextmanager
def on_behalf_of(person_id: str) -> Iterator[None]:
    """What is done inside, a person waits for; NOBODY: housekeeping."""
    token = _person.set(person_id)
    try:
        yield
    finally:
        _person.reset(token)


def whose() -> str:
    return _person.get()
