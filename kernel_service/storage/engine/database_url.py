"""Which kind of database a URL is of. Loads no driver, so that a bad one is named at once."""

from __future__ import annotations

from kernel_service.storage.engine import postgres_url


def is_sqlite(url: str) -> bool:
    return url.lstrip().startswith("sqlite:")


def check(url: str) -> None:
    """ValueError says what is wrong and what to do, and nothing of a password."""
    if is_sqlite(url):
        return
    if not postgres_url.is_postgresql(url):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    postgres_url.parse(url)
