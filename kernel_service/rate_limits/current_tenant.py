"""Which person the running work is done for: the tenant of the fair queues. Background work has none, and comes last.

It is a context variable, since vendors are called from deep below tools that know a session or an account, not a
person. A task inherits the tenant of whoever started it.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKGROUND = ""

_person_id: ContextVar[str] = ContextVar("current_tenant", default=BACKGROUND)


@contextmanager
def as_tenant(person_id: str) -> Iterator[None]:
    """A person waits for what is done inside; BACKGROUND: nobody does."""
    token = _person_id.set(person_id)
    try:
        yield
    finally:
        _person_id.reset(token)


def current_tenant() -> str:
    """The person's id; BACKGROUND outside of as_tenant()."""
    return _person_id.get()
