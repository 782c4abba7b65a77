"""The kind of database that a URL names. Loads no driver, so that a bad URL is reported at once."""

from __future__ import annotations

from kernel_service.storage.engine import postgres_url


def is_sqlite(url: str) -> bool:
    return url.lstrip().startswith("sqlite:")


def check(url: str) -> None:
    """Raises `ValueError` with the problem and its fix, and without any part of a password."""
    if is_sqlite(url):
        return
    if not postgres_url.is_postgresql(url):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    postgres_url.parse(url)
