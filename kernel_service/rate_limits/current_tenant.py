"""The person for whom the current work is done: the tenant of the fair queues.

Background work has no tenant and has the lowest priority. The tenant is a context variable, since the code that calls
a vendor knows a session or an account, but not a person. A task inherits the tenant of its creator.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKGROUND = ""

_person_id: ContextVar[str] = ContextVar("current_tenant", default=BACKGROUND)
_yields: ContextVar[bool] = ContextVar("is_yielding", default=False)


@contextmanager
def as_tenant(person_id: str) -> Iterator[None]:
    """Sets the tenant inside the block; BACKGROUND: no person waits for the work."""
    token = _person_id.set(person_id)
    try:
        yield
    finally:
        _person_id.reset(token)


@contextmanager
def yielding(*, yields: bool) -> Iterator[None]:
    """Inside the block the work comes after the requests of others, unless `yields` is False."""
    token = _yields.set(yields)
    try:
        yield
    finally:
        _yields.reset(token)


def is_yielding() -> bool:
    return _yields.get()


def current_tenant() -> str:
    """The person's id; BACKGROUND outside of as_tenant()."""
    return _person_id.get()
