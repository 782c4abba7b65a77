"""Reads JSON of servers that may answer anything: each function returns a value of its type, or an empty one."""

from __future__ import annotations

from typing import Any


def object_in(owner: Any, key: str) -> dict[str, Any]:
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, dict) else {}


def objects_in(owner: Any, key: str) -> list[dict[str, Any]]:
    """The objects of a list; other values are left out."""
    return [each for each in _list_in(owner, key) if isinstance(each, dict)]


def texts_in(owner: Any, key: str) -> list[str]:
    """The values of a list as text."""
    return [str(each) for each in _list_in(owner, key)]


def _list_in(owner: Any, key: str) -> list[Any]:
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, list) else []
