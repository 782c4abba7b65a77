"""Reads untrusted JSON: each function returns a value of the right type, or an empty one."""

from typing import Any

Object = dict[str, Any]


def text_in(owner: Any, key: str) -> str:
    """The string under a key; empty if there is none."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, str) else ""


def texts_in(owner: Any, *keys: str) -> list[str]:
    """The string under each key; empty if there is none."""
    if not isinstance(owner, dict):
        return [""] * len(keys)
    return [value if isinstance(value := owner.get(key), str) else "" for key in keys]


def object_in(owner: Any, key: str) -> Object:
    """The object under a key; empty if there is none."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, dict) else {}


def objects_in(owner: Any, key: str) -> list[Object]:
    """The objects of the list under a key; other values are skipped."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number_in(owner: Any, key: str) -> float | None:
    """The number under a key, also if it is written as a string."""
    value = owner.get(key) if isinstance(owner, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def flag_in(owner: Any, key: str) -> bool:
    """Whether the value under a key is exactly true."""
    return isinstance(owner, dict) and owner.get(key) is True


def error_code_in(owner: Any) -> str:
    """The code of the first of the `errors`, at most 64 characters; empty if there is none."""
    code = next((error.get("code") for error in objects_in(owner, "errors")), None)
    return str(code)[:64] if isinstance(code, int | str) else ""
